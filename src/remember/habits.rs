//! Shares of a caller's requests that do this or that.

use crate::observe::Conversation;
use crate::observe::prompt::Cue;

/// An answer that may be so long, in tokens, is a long one.
const LONG: u64 = 2048;

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Ask one question, without any answer before it.
    SingleTurn,
    /// Take the answer whole, not streamed.
    NotStreamed,
    /// Ask for several answers or for the distribution behind them.
    Samples,
    /// Allow an answer of 2048 tokens or more.
    LongAnswers,
    /// Offer the very tools that the request before offered.
    SameTools,
    /// Use a phrase that elicits this.
    Elicits(Cue),
}

const FIRST_CUE: usize = 5;
const COUNT: usize = FIRST_CUE + Cue::ALL.len();

impl Habit {
    const fn index(self) -> usize {
        match self {
            Self::SingleTurn => 0,
            Self::NotStreamed => 1,
            Self::Samples => 2,
            Self::LongAnswers => 3,
            Self::SameTools => 4,
            Self::Elicits(cue) => FIRST_CUE + cue as usize,
        }
    }
}

/// The share of about the last 16 requests with each habit, 0 to 1. It starts at 0, so that few requests say little.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Habits {
    shares: [f32; COUNT],
    /// The tools that the last request offered; 0 for none.
    tools: u32,
}

impl Habits {
    /// Counts a request.
    pub fn add(&mut self, conversation: &Conversation) {
        let options = &conversation.options;
        let tools = conversation.tool_schema.map_or(0, |schema| (schema >> 32) as u32 | 1);
        let has_same_tools = tools != 0 && tools == self.tools;
        self.tools = tools;
        self.note(Habit::SingleTurn, conversation.is_single_turn());
        self.note(Habit::NotStreamed, !options.stream);
        self.note(Habit::Samples, options.samples());
        self.note(Habit::LongAnswers, options.max_tokens.is_some_and(|tokens| tokens >= LONG));
        self.note(Habit::SameTools, has_same_tools);
        let cues = conversation.cues();
        for cue in Cue::ALL {
            self.note(Habit::Elicits(cue), cues.has(cue));
        }
    }

    fn note(&mut self, habit: Habit, holds: bool) {
        const STEP: f32 = 1.0 / 16.0;
        if let Some(share) = self.shares.get_mut(habit.index()) {
            *share += (f32::from(u8::from(holds)) - *share) * STEP;
        }
    }

    /// The share of requests with a habit, 0 to 1.
    #[must_use]
    pub fn share(&self, habit: Habit) -> f32 {
        self.shares.get(habit.index()).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_habit_shows_within_about_sixteen_requests_and_one_request_is_none() {
        let mut habits = Habits::default();
        let sampled = |n: u32| {
            let mut conversation = Conversation::default();
            conversation.options.n = Some(n);
            conversation
        };
        habits.add(&sampled(4));
        assert!(habits.share(Habit::Samples) < 0.1);
        for _ in 0..32 {
            habits.add(&sampled(4));
        }
        assert!(habits.share(Habit::Samples) > 0.85);
        for _ in 0..64 {
            habits.add(&sampled(1));
        }
        assert!(habits.share(Habit::Samples) < 0.05);
    }

    #[test]
    fn tools_are_the_same_from_the_second_time_on() {
        let mut habits = Habits::default();
        let offers = |schema: Option<u64>| Conversation { tool_schema: schema, ..Conversation::default() };
        for schema in [None, Some(1 << 40), Some(2 << 40), None, None] {
            habits.add(&offers(schema));
        }
        assert_eq!(habits.share(Habit::SameTools), 0.0);
        habits.add(&offers(Some(3 << 40)));
        habits.add(&offers(Some(3 << 40)));
        assert!(habits.share(Habit::SameTools) > 0.0);
    }
}
