//! Which requests may wait for their verdict, headers and body kept by the host.
//!
//! Two of the host's settings decide whether waiting works, and neither can be asked for. If bodies are not handed over
//! while headers wait (`allow_on_headers_stop_iteration` is missing), a request would wait for ever; so the first that
//! waits is on trial, alone. If the host's buffer is smaller than what is waited for, the host stops reading once it is
//! full, and the request would wait for ever as well. Either way it is let go after a second or two without progress, and what
//! was learnt holds for those that follow.

use std::cell::Cell;
use std::rc::Rc;

use crate::remember::Time;

/// A request is let go after this many seconds without progress.
const PATIENCE: f64 = 1.0;
/// After the first trial that failed, the next is this many seconds later; after each further one, twice as many as before.
const PAUSE: f64 = 60.0;
/// But never more than this many: Envoy's configuration can change under a running VM.
const LONGEST_PAUSE: f64 = 3600.0;
/// No host's buffer is smaller, so a request with fewer bytes than these waits for its client, not for the host.
const SMALLEST: usize = 16 * 1024;

/// What is known of the host.
pub struct Holding {
    /// Bytes of body up to which a request may wait.
    limit: usize,
    proof: Proof,
    /// Seconds until the next trial, should the one at hand fail.
    pause: f64,
    /// Requests that may be waiting for a host whose buffer is full.
    large: Vec<Hold>,
}

/// Whether the host hands over bodies of requests that wait.
enum Proof {
    /// Not known; the next trial may begin then.
    Unknown(Time),
    /// One request waits to see.
    OnTrial(Hold),
    /// It does.
    Given,
}

/// A request's leave to wait.
#[derive(Clone)]
pub struct Hold(Rc<Wait>);

struct Wait {
    context: u32,
    /// Bytes of body that came.
    bytes: Cell<usize>,
    /// When the last of them came.
    since: Cell<Time>,
    /// The request was let go.
    is_over: Cell<bool>,
}

impl Hold {
    fn new(context: u32, now: Time) -> Self {
        Self(Rc::new(Wait { context, bytes: Cell::new(0), since: Cell::new(now), is_over: Cell::new(false) }))
    }

    /// Whether the request was let go.
    pub fn is_over(&self) -> bool {
        self.0.is_over.get()
    }

    /// Whether nobody but us knows of the request any more: it was judged, or its client left.
    fn is_abandoned(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    fn is_stuck(&self, now: Time) -> bool {
        // A clock that stepped back tells nothing of how long it waited before.
        self.0.since.set(self.0.since.get().min(now));
        now.seconds_since(self.0.since.get()) >= PATIENCE
    }
}

/// A request that has to go on, and why it waited in vain.
#[derive(Debug, PartialEq, Eq)]
pub enum LetGo {
    /// Its body was kept back.
    BodyWithheld {
        /// Its context.
        context: u32,
    },
    /// The host's buffer was full; so much is waited for from now on.
    BufferFull {
        /// Its context.
        context: u32,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Default for Holding {
    fn default() -> Self {
        Self { limit: usize::MAX, proof: Proof::Unknown(Time::default()), pause: PAUSE, large: Vec::new() }
    }
}

impl Holding {
    /// Lets a request wait, or not.
    pub fn begin(&mut self, context: u32, now: Time) -> Option<Hold> {
        let hold = Hold::new(context, now);
        match &self.proof {
            Proof::Given => {}
            Proof::OnTrial(tried) if !tried.is_abandoned() => return None,
            // One that is farther away was set by another clock.
            Proof::Unknown(next) if now < *next && next.seconds_since(now) <= LONGEST_PAUSE => return None,
            Proof::Unknown(_) | Proof::OnTrial(_) => self.proof = Proof::OnTrial(hold.clone()),
        }
        Some(hold)
    }

    /// A waiting request's body came: this host hands them over.
    pub fn body_came(&mut self) {
        self.proof = Proof::Given;
    }

    /// Whether a request may go on waiting, of whose body so many bytes have come by now.
    pub fn may_wait(&mut self, hold: &Hold, bytes: usize, now: Time) -> bool {
        let before = hold.0.bytes.replace(bytes);
        hold.0.since.set(now);
        if before < SMALLEST && bytes >= SMALLEST {
            self.large.push(hold.clone());
        }
        bytes < self.limit
    }

    /// Lets those go that wait in vain. To be called once a second or oftener.
    pub fn tick(&mut self, now: Time) -> Vec<LetGo> {
        let mut free = Vec::new();
        if let Proof::OnTrial(hold) = &self.proof
            && (hold.is_abandoned() || hold.is_stuck(now))
        {
            let context = hold.0.context;
            let is_withheld = !hold.is_abandoned();
            hold.0.is_over.set(true);
            self.proof = Proof::Unknown(if is_withheld { now.plus_seconds(self.pause) } else { now });
            if is_withheld {
                self.pause = (2.0 * self.pause).min(LONGEST_PAUSE);
                free.push(LetGo::BodyWithheld { context });
            }
        }
        let limit = &mut self.limit;
        self.large.retain(|hold| {
            if hold.is_abandoned() {
                return false;
            }
            let is_stuck = hold.is_stuck(now);
            if is_stuck {
                // The last part may have filled the buffer to twice its size. A client that pauses looks the same as a
                // full buffer; that costs later requests no more than a shorter look.
                *limit = (*limit).min(hold.0.bytes.get() / 2);
                hold.0.is_over.set(true);
                free.push(LetGo::BufferFull { context: hold.0.context, limit: *limit });
            }
            !is_stuck
        });
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_700_000_000_000_000_000);

    fn after(seconds: f64) -> Time {
        START.plus_seconds(seconds)
    }

    #[test]
    fn one_request_is_tried_and_once_its_body_comes_all_may_wait() {
        let mut holding = Holding::default();
        let first = holding.begin(1, START).unwrap();
        assert!(holding.begin(2, START).is_none());
        holding.body_came();
        assert!(holding.may_wait(&first, 10, START));
        assert!(holding.begin(3, START).is_some() && holding.begin(4, START).is_some());
        assert_eq!(holding.tick(after(9.0)), []);
        assert!(!first.is_over(), "a slow client is waited for");
    }

    #[test]
    fn a_request_whose_body_is_kept_back_is_let_go_and_the_next_trial_is_later() {
        let mut holding = Holding::default();
        let hold = holding.begin(7, START).unwrap();
        assert_eq!(holding.tick(after(0.5)), []);
        assert_eq!(holding.tick(after(1.5)), [LetGo::BodyWithheld { context: 7 }]);
        assert!(hold.is_over());
        assert!(holding.begin(8, after(30.0)).is_none());
        assert!(holding.begin(9, after(62.0)).is_some());
    }

    #[test]
    fn a_host_that_never_hands_over_a_body_delays_a_request_an_hour_at_last() {
        let mut holding = Holding::default();
        let (mut now, mut trials) = (START, 0);
        let day = after(86_400.0);
        while now < day {
            // Until its verdict it is held by its context.
            let hold = holding.begin(1, now);
            trials += u32::from(hold.is_some());
            now = now.plus_seconds(2.0);
            holding.tick(now);
        }
        assert!((24..=30).contains(&trials), "{trials}");
    }

    #[test]
    fn a_client_that_left_during_its_trial_proves_nothing() {
        let mut holding = Holding::default();
        drop(holding.begin(1, START));
        assert!(holding.begin(2, START).is_some());
        assert_eq!(holding.tick(after(5.0)), []);
        assert!(holding.begin(3, after(5.0)).is_some());
    }

    #[test]
    fn a_clock_that_steps_back_keeps_nobody_waiting() {
        let mut holding = Holding::default();
        let hold = holding.begin(1, START).unwrap();
        let before = |seconds: u64| Time(START.0 - seconds * 1_000_000_000);
        assert_eq!(holding.tick(before(86_400)), []);
        assert_eq!(holding.tick(before(86_390)), [LetGo::BodyWithheld { context: 1 }]);
        assert!(hold.is_over());
        // Nor does it put the next trial off.
        assert!(holding.begin(2, before(86_000)).is_some());
    }

    #[test]
    fn a_full_buffer_is_found_out_and_nobody_waits_for_more_after_that() {
        let mut holding = Holding::default();
        let hold = holding.begin(1, START).unwrap();
        holding.body_came();
        assert!(holding.may_wait(&hold, 16_384, START));
        assert!(holding.may_wait(&hold, 40_000, after(0.1)));
        assert_eq!(holding.tick(after(1.0)), []);
        assert_eq!(holding.tick(after(2.0)), [LetGo::BufferFull { context: 1, limit: 20_000 }]);
        assert!(hold.is_over());
        let next = holding.begin(2, after(3.0)).unwrap();
        assert!(holding.may_wait(&next, 19_999, after(3.0)) && !holding.may_wait(&next, 20_000, after(3.0)));
        drop(next);
        assert_eq!(holding.tick(after(9.0)), []);
    }
}
