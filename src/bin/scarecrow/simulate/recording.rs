//! Recorded sessions of clients, with slots for texts that differ from session to session.

use anyhow::{Context, Result, bail};
use scarecrow::config::Policy;
use scarecrow::observe::conversation::Conversation;
use scarecrow::observe::hash::mix;
use scarecrow::observe::{Kind, Observation};
use serde_json::Value;
use std::path::Path;

use super::texts::Texts;
use crate::har::Entry;
use crate::traffic;

/// One client: the requests of a session, in their order.
pub struct Recording {
    /// Its name.
    pub name: String,
    /// The requests.
    pub steps: Vec<Step>,
}

/// One request.
pub struct Step {
    /// The HAR entry as it was recorded.
    entry: Value,
    /// Its body.
    body: String,
    /// What is observed, for each version of the client.
    observations: Vec<Observation>,
    /// What it asks, with different texts in its slots.
    variants: Vec<Conversation>,
    /// Which hashes are the same whatever the slots hold.
    constant: Constant,
}

#[derive(Clone, Copy)]
struct Constant {
    system: bool,
    hash: bool,
    prefixes: [bool; 4],
    suffix: bool,
}

/// How many texts are tried in the slots: enough for the counts of topics that a day's memory tells apart.
const VARIANTS: u64 = 128;

impl Recording {
    /// Reads `clients/<name>.jsonl` of a folder, for so many versions of the client.
    pub fn read(folder: &Path, name: &str, versions: u32, texts: &Texts, policy: &Policy) -> Result<Self> {
        let path = folder.join("clients").join(format!("{name}.jsonl"));
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("{name} is no recorded client: cannot read {}", path.display())
        })?;
        let steps = text.lines().map(|line| Step::new(line, versions, texts, policy)).collect::<Result<Vec<_>>>();
        let steps = steps.with_context(|| path.display().to_string())?;
        if steps.is_empty() {
            bail!("{} is empty", path.display());
        }
        Ok(Self { name: name.to_owned(), steps })
    }
}

impl Step {
    fn new(line: &str, versions: u32, texts: &Texts, policy: &Policy) -> Result<Self> {
        let entry: Value = serde_json::from_str(line)?;
        let body = entry.pointer("/request/postData/text").and_then(Value::as_str).unwrap_or_default().to_owned();
        let observe = |entry: &Value, body: &str| -> Result<Observation> {
            let mut entry = entry.clone();
            set_body(&mut entry, body);
            let text = entry.to_string();
            let entry: Entry<'_> = serde_json::from_str(&text)?;
            Ok(traffic::observe(&entry, policy))
        };
        let mut variants = Vec::new();
        for seed in 0..VARIANTS {
            let observation = observe(&entry, &texts.fill(&body, mix(seed)))?;
            variants.push(*observation.conversation.context("its body was not read")?);
        }
        let mut observations = Vec::new();
        for version in 0..versions {
            let mut versioned = entry.clone();
            set_version(&mut versioned, version);
            let mut observation = observe(&versioned, "{}")?;
            observation.conversation = None;
            observations.push(observation);
        }
        let constant = Constant::of(&variants);
        Ok(Self { entry, body, observations, variants, constant })
    }

    /// What is observed of this step in a session. Each session has texts of its own: hashes that depend on a slot are
    /// as different between sessions as if each had another text.
    pub fn observation(&self, version: u32, session: u64) -> Observation {
        let mut observation = self.observations.get(version as usize).or(self.observations.first()).cloned();
        let variant = self.variants.get((session % VARIANTS) as usize);
        if let (Some(observation), Some(variant)) = (&mut observation, variant) {
            let mut conversation = variant.clone();
            self.constant.make_own(&mut conversation, session);
            observation.conversation = Some(Box::new(conversation));
        }
        // A step has at least one version.
        observation.unwrap_or_else(|| unreachable!("a recording without versions"))
    }

    /// Bytes of its prompt with one text or another.
    pub fn prompt_bytes(&self, session: u64) -> u64 {
        self.variants.get((session % VARIANTS) as usize).map_or(0, Conversation::text_bytes)
    }

    /// The HAR entry of this step in a session, with its texts.
    pub fn har(&self, version: u32, session: u64, texts: &Texts) -> Value {
        let mut entry = self.entry.clone();
        set_version(&mut entry, version);
        set_body(&mut entry, &texts.fill(&self.body, session));
        entry
    }
}

impl Constant {
    fn of(variants: &[Conversation]) -> Self {
        let same = |fact: &dyn Fn(&Conversation) -> Option<u64>| {
            let mut facts = variants.iter().map(fact);
            let first = facts.next();
            facts.all(|fact| Some(fact) == first)
        };
        let user = |conversation: &Conversation| conversation.last_user;
        Self {
            system: same(&|conversation| conversation.system.map(|system| system.hash)),
            hash: same(&|conversation| user(conversation).map(|user| user.hash)),
            prefixes: [0, 1, 2, 3].map(|index| {
                same(&|conversation| user(conversation).and_then(|user| user.prefixes.get(index).copied().flatten()))
            }),
            suffix: same(&|conversation| user(conversation).and_then(|user| user.suffix)),
        }
    }

    fn make_own(&self, conversation: &mut Conversation, session: u64) {
        let own = |hash: &mut u64, is_constant: bool| {
            if !is_constant {
                *hash = mix(*hash ^ session);
            }
        };
        if let Some(system) = &mut conversation.system {
            own(&mut system.hash, self.system);
        }
        let mut opening = 0;
        if let Some(user) = &mut conversation.last_user {
            own(&mut user.hash, self.hash);
            for (prefix, is_constant) in user.prefixes.iter_mut().zip(self.prefixes) {
                if let Some(prefix) = prefix {
                    own(prefix, is_constant);
                }
            }
            if let Some(suffix) = &mut user.suffix {
                own(suffix, self.suffix);
            }
            opening = user.prefixes[1].unwrap_or_default();
        }
        let system = conversation.system.map_or(0, |system| system.hash);
        if conversation.template.is_some() {
            conversation.template = Some(Kind::Template.with(mix(mix(system) ^ opening)));
        }
    }
}

fn set_body(entry: &mut Value, body: &str) {
    if let Some(text) = entry.pointer_mut("/request/postData/text") {
        *text = body.into();
    }
}

/// Turns the version numbers of the client's software in its headers into those of another release.
fn set_version(entry: &mut Value, version: u32) {
    let Some(headers) = entry.pointer_mut("/request/headers").and_then(Value::as_array_mut) else { return };
    let version_of = |header: &Value| {
        let name = header["name"].as_str()?;
        (name.eq_ignore_ascii_case("user-agent") || name.eq_ignore_ascii_case("x-stainless-package-version"))
            .then(|| header["value"].as_str())?
            .and_then(|value| value.rsplit(['/', ' ']).next().map(str::to_owned))
            .filter(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    };
    let Some(recorded) = headers.iter().find_map(version_of) else { return };
    let Some((major, _)) = recorded.split_once('.') else { return };
    if version == 0 {
        return;
    }
    let other = format!("{major}.{}.{}", 10 + version, version % 3);
    for header in headers {
        if let Some(value) = header["value"].as_str().map(|value| value.replace(&recorded, &other)) {
            header["value"] = value.into();
        }
    }
}
