//! Reading a request's body, in chunks of any size, with memory of fixed size.

use siphasher::sip::SipHasher24;
use std::hash::Hasher;

use super::super::excerpt::{Excerpt, HEAD, TAIL};
use super::super::hash::{Purpose, Secret};
use super::super::json::{Container, Literal};
use super::super::paths::Visitor;
use super::super::prompt::{self, PassingText, Prompt};
use super::{Asked, Conversation, Effort, Format, Messages, Role, Word};

/// A conversation as far as it was read.
pub struct Reading {
    facts: Conversation,
    /// The message that is being read, if one is.
    current: Option<Role>,
    is_turn: bool,
    text: Excerpt,
    text_bytes: u64,
    is_inside_text: bool,
    /// Bytes of the text's part that is being read, or was read last.
    part_bytes: u64,
    system: Excerpt,
    user: Excerpt,
    /// All else that is looked through for phrases.
    passing: PassingText,
    /// The user's turn to be answered now was given by name; those that follow are older.
    has_turn: bool,
    /// A list of messages has begun in this request.
    has_list: bool,
    tools: SipHasher24,
    schema: SipHasher24,
    end_user: SipHasher24,
    secret: Secret,
}

/// Bytes that a stream takes beyond its scanner; bounded whatever the body's size.
const _: () = assert!(size_of::<Reading>() <= 8 * 1024);

impl Reading {
    /// Nothing read yet.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self {
            facts: Conversation::default(),
            current: None,
            is_turn: false,
            text: Excerpt::default(),
            text_bytes: 0,
            is_inside_text: false,
            part_bytes: 0,
            system: Excerpt::default(),
            user: Excerpt::default(),
            passing: PassingText::default(),
            has_turn: false,
            has_list: false,
            tools: secret.hasher(Purpose::Tools),
            schema: secret.hasher(Purpose::Schema),
            end_user: secret.hasher(Purpose::User),
            secret: secret.clone(),
        }
    }

    /// What was read. A message that was cut short counts as far as it goes.
    #[must_use]
    pub fn finish(&mut self) -> Conversation {
        self.end_message();
        self.facts.system = Prompt::new(&self.system, &self.secret);
        self.facts.last_user = Prompt::new(&self.user, &self.secret);
        self.facts.template = prompt::template(self.facts.system.as_ref(), self.facts.last_user.as_ref(), &self.secret);
        self.facts.tool_schema = (self.facts.tools > 0).then(|| self.tools.finish());
        self.facts.passing = self.passing.cues();
        self.facts.requests = self.facts.requests.max(1);
        std::mem::take(&mut self.facts)
    }

    /// A list of messages begins: of two under one key parsers keep the last.
    fn begin_list(&mut self) {
        if std::mem::replace(&mut self.has_list, true) {
            for role in [Role::User, Role::Assistant, Role::Tool] {
                if let Some(messages) = self.facts.messages.get_mut(role as usize) {
                    *messages = Messages::default();
                }
            }
            self.user.clear();
        }
    }

    fn begin_message(&mut self, field: Asked) {
        self.end_message();
        self.current = Some(if field == Asked::System { Role::System } else { Role::User });
        self.is_turn = field == Asked::Turn;
    }

    fn end_message(&mut self) {
        let Some(role) = self.current.take() else { return };
        if let Some(messages) = self.facts.messages.get_mut(role as usize) {
            messages.count = messages.count.saturating_add(1);
            messages.bytes += self.text_bytes;
        }
        if self.text.is_cut() {
            self.passing.end();
        }
        match role {
            Role::System => {
                separate(&mut self.system);
                self.system.append(&self.text);
            }
            Role::User if self.is_turn || !self.has_turn => {
                if self.text.length() >= FEW_WORDS || self.user.length() < FEW_WORDS {
                    // The turn that was the last is not: its phrases still count.
                    self.passing.push_excerpt(&self.user);
                    self.user.set(&self.text);
                } else {
                    self.passing.push_excerpt(&self.text);
                }
                self.has_turn = self.is_turn;
            }
            Role::User => self.passing.push_excerpt(&self.text),
            _ => {}
        }
        self.text.clear();
        self.text_bytes = 0;
    }

    fn push_text(&mut self, part: &[u8], is_last: bool) {
        self.text_bytes += part.len() as u64;
        // What the model and tools said is counted, not looked at.
        if matches!(self.current, Some(Role::System | Role::User)) {
            if !self.is_inside_text {
                if self.part_bytes >= SHORT_PART {
                    separate(&mut self.text);
                }
                self.part_bytes = 0;
            }
            self.part_bytes += part.len() as u64;
            let was_whole = !self.text.is_cut();
            if was_whole && self.text.would_be_cut(part) {
                self.passing.push(self.text.copy_to(&mut [0; HEAD + TAIL]));
            }
            self.text.push(part);
            if self.text.is_cut() {
                self.passing.push(part);
            }
        }
        self.is_inside_text = !is_last;
    }

    /// Counts what a tool gave within a message.
    fn result(&mut self, bytes: usize, is_new: bool) {
        if let Some(tool) = self.facts.messages.get_mut(Role::Tool as usize) {
            tool.count = tool.count.saturating_add(u32::from(is_new));
            tool.bytes += bytes as u64;
        }
    }

    fn schema(&mut self) {
        self.facts.options.format = Format::Schema;
        self.facts.options.schema = Some(self.schema.finish());
    }
}

/// A part of fewer bytes is a piece of a text that was cut up, and no text of its own: nothing tells it from the next.
const SHORT_PART: u64 = 12;

/// A turn of fewer bytes asks for nothing of its own where one before it does.
const FEW_WORDS: u64 = 48;

/// Parts of one text are told apart by a line break.
fn separate(text: &mut Excerpt) {
    if text.length() > 0 {
        text.push(b"\n");
    }
}

impl Visitor<Asked> for Reading {
    fn enter(&mut self, field: Asked, container: Container) {
        match field {
            Asked::Request => {
                self.facts.requests = self.facts.requests.saturating_add(1);
                self.has_list = false;
            }
            Asked::Messages | Asked::Message if container == Container::Array => self.begin_list(),
            Asked::Message | Asked::Turn if container == Container::Object => self.begin_message(field),
            Asked::System => self.begin_message(field),
            Asked::Tool => self.facts.tools = self.facts.tools.saturating_add(1),
            Asked::Image => self.facts.has_image = true,
            Asked::Audio => self.facts.has_audio = true,
            Asked::Result => self.result(0, true),
            _ => {}
        }
    }

    fn leave(&mut self, field: Asked) {
        match field {
            Asked::Message | Asked::Turn | Asked::System => self.end_message(),
            Asked::Format => {
                self.passing.end();
                self.schema();
            }
            Asked::Tool => self.passing.end(),
            _ => {}
        }
    }

    fn text(&mut self, field: Asked, part: &[u8], is_last: bool) {
        match field {
            // A message that is a text and no object.
            Asked::Message | Asked::Turn | Asked::System => {
                if self.current.is_none() {
                    self.begin_message(field);
                }
                self.push_text(part, is_last);
                if is_last {
                    self.end_message();
                }
            }
            Asked::Text if self.current.is_some() => self.push_text(part, is_last),
            Asked::Result | Asked::ResultText => {
                self.result(part.len(), field == Asked::Result && is_last);
            }
            Asked::User => {
                self.end_user.write(part);
                if is_last {
                    let hasher = std::mem::replace(&mut self.end_user, self.secret.hasher(Purpose::User));
                    self.facts.user = Some(hasher.finish());
                }
            }
            Asked::Image => self.facts.has_image = true,
            Asked::Audio => self.facts.has_audio = true,
            _ => {}
        }
    }

    fn word(&mut self, field: Asked, word: &[u8]) {
        let options = &mut self.facts.options;
        match field {
            Asked::Model => self.facts.model = Word::new(word),
            Asked::Role => {
                if let (Some(current), Some(role)) = (&mut self.current, Role::parse(word)) {
                    *current = role;
                }
            }
            Asked::PartType => {
                let has = |part: &[u8]| word.windows(part.len()).any(|window| window == part);
                self.facts.has_image |= has(b"image");
                self.facts.has_audio |= has(b"audio");
            }
            Asked::Format => options.format = options.format.max(Format::parse(word)),
            Asked::Effort if !matches!(options.effort, Some(Effort::Budget(_))) => {
                options.effort = Effort::parse(word).or(options.effort);
            }
            _ => {}
        }
    }

    fn number(&mut self, field: Asked, digits: &str) {
        let options = &mut self.facts.options;
        let Some(number) = Number::parse(digits) else { return };
        match field {
            Asked::N => options.n = Some(number.count()),
            Asked::BestOf => options.best_of = Some(number.count()),
            Asked::Temperature => options.temperature = Some(number.fraction as f32),
            Asked::TopP => options.top_p = Some(number.fraction as f32),
            // The older completions' `logprobs` is a number of alternatives.
            Asked::Logprobs => {
                options.logprobs = true;
                options.top_logprobs = Some(number.count());
            }
            Asked::TopLogprobs => options.top_logprobs = Some(number.count()),
            Asked::PromptLogprobs => options.prompt_logprobs = true,
            Asked::MaxTokens => options.max_tokens = u64::try_from(number.whole).ok(),
            Asked::Seed => options.seed = Some(number.whole),
            Asked::Effort => options.effort = Some(Effort::budget(number.whole)),
            _ => {}
        }
    }

    fn literal(&mut self, field: Asked, literal: Literal) {
        let options = &mut self.facts.options;
        let is_true = literal == Literal::True;
        match field {
            Asked::Logprobs => options.logprobs = is_true,
            Asked::PromptLogprobs => options.prompt_logprobs |= is_true,
            Asked::Stream if literal != Literal::Null => options.stream = is_true,
            Asked::Effort if literal != Literal::Null => {
                options.effort = Some(if is_true { Effort::On } else { Effort::None });
            }
            _ => {}
        }
    }

    fn inner(&mut self, field: Asked, piece: &[u8]) {
        match field {
            Asked::Tool => {
                self.tools.write(piece);
                self.passing.push(piece);
            }
            Asked::Format => {
                self.schema.write(piece);
                self.passing.push(piece);
            }
            _ => {}
        }
    }
}

impl Reading {
    /// Facts that do not stand in the body, and how much of it was read.
    pub fn facts_mut(&mut self) -> &mut Conversation {
        &mut self.facts
    }
}

/// A JSON number both ways.
struct Number {
    whole: i64,
    fraction: f64,
}

impl Number {
    fn parse(digits: &str) -> Option<Self> {
        let fraction: f64 = digits.parse().ok()?;
        // What an integer cannot hold is brought to its nearer end.
        Some(Self { whole: digits.parse().unwrap_or(fraction as i64), fraction })
    }

    fn count(&self) -> u32 {
        self.whole.clamp(0, u32::MAX.into()) as u32
    }
}
