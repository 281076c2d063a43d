//! Questions that wait for a node's answer, by what the answer repeats of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Those of one kind that one node was asked. An answer to anything else is ignored.
pub(crate) struct Questions<Q: Eq + Hash, A>(Mutex<Open<Q, A>>);

struct Open<Q, A> {
    asked: u64,
    waiting: HashMap<Q, (u64, oneshot::Sender<A>)>,
}

impl<Q: Eq + Hash, A> Default for Questions<Q, A> {
    fn default() -> Self {
        Self(Mutex::new(Open { asked: 0, waiting: HashMap::new() }))
    }
}

/// A question that is forgotten when nobody waits for its answer any more.
struct Asked<'a, Q: Eq + Hash, A> {
    of: &'a Questions<Q, A>,
    question: Q,
    number: u64,
}

impl<Q: Eq + Hash, A> Drop for Asked<'_, Q, A> {
    fn drop(&mut self) {
        let mut open = self.of.open();
        if open.waiting.get(&self.question).is_some_and(|(number, _)| *number == self.number) {
            open.waiting.remove(&self.question);
        }
    }
}

impl<Q: Clone + Eq + Hash, A> Questions<Q, A> {
    /// Asks by `send`, and waits for the answer, at most so long; none where it was not sent. Asked again meanwhile, the later
    /// one gets it.
    pub(crate) async fn ask(&self, question: Q, at_most: Duration, send: impl FnOnce() -> bool) -> Option<A> {
        let (tell, told) = oneshot::channel();
        let _asked = self.wait(question, tell);
        if !send() {
            return None;
        }
        timeout(at_most, told).await.ok()?.ok()
    }

    fn wait(&self, question: Q, tell: oneshot::Sender<A>) -> Asked<'_, Q, A> {
        let mut open = self.open();
        open.asked = open.asked.wrapping_add(1);
        let number = open.asked;
        open.waiting.insert(question.clone(), (number, tell));
        Asked { of: self, question, number }
    }
}

impl<Q: Eq + Hash, A> Questions<Q, A> {
    fn open(&self) -> MutexGuard<'_, Open<Q, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an answer in.
    pub(crate) fn answer(&self, question: &Q, answer: A) {
        let waiting = self.open().waiting.remove(question);
        if let Some((_, tell)) = waiting {
            let _nobody_waits_any_more = tell.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn answers_find_their_questions_and_nothing_is_left_behind() {
        let questions = Questions::<u8, &str>::default();
        let (one, two) = tokio::join!(
            questions.ask(1, SOON, || true),
            questions.ask(2, SOON, || {
                questions.answer(&3, "nobody asked");
                questions.answer(&2, "two");
                questions.answer(&1, "one");
                questions.answer(&1, "again");
                true
            })
        );
        assert_eq!((one, two), (Some("one"), Some("two")));
        assert_eq!(questions.ask(1, SOON, || true).await, None, "no answer");
        assert_eq!(questions.ask(1, SOON, || false).await, None, "not sent");
        assert!(questions.open().waiting.is_empty());
    }

    #[tokio::test]
    async fn asked_twice_at_once_the_later_one_gets_the_answer() {
        let questions = Questions::<u8, &str>::default();
        let (first, second) = tokio::join!(questions.ask(1, SOON, || true), async {
            let later = questions.ask(1, SOON * 100, || true);
            let answer = async {
                tokio::time::sleep(SOON * 3).await;
                questions.answer(&1, "late");
            };
            tokio::join!(later, answer).0
        });
        assert_eq!((first, second), (None, Some("late")), "whoever gave up took nothing along");
    }
}
