//! Who runs, and in which order: the controller alone, threads that run as they like, or two queues whose order a
//! seed says.

use std::cell::RefCell;
use std::sync::Barrier;

use super::api::Api;
use super::load::Dice;
use super::stage::{Decided, Stage};
use super::{CALM, Hook};
use crate::scenario::Scenario;

/// Everything that was counted, and the alerts that were sent, each as often as it was.
pub(super) type Played = (Api, Vec<i64>);

/// The controller without any trouble.
pub(super) fn alone(scenario: &Scenario, rounds: usize) -> Played {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(scenario, folder.path(), rounds, 0);
    let (mut last, mut sent) = (0, Vec::new());
    for round in 0..rounds + CALM {
        stage.advance(round, false);
        let begun = stage.begin(Hook::Controller, &mut last);
        if let Some(decided) = stage.decide(begun, &|| {}) {
            stage.arrive(&decided, round);
        }
        sent.extend(stage.deliver());
    }
    (stage.end(), sent)
}

/// A thread for each hook: they wait for each other between rounds, and for what began earlier to arrive.
pub(super) fn threads(scenario: &Scenario, rounds: usize) -> Played {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(scenario, folder.path(), rounds, 77);
    let (start, end) = (Barrier::new(4), Barrier::new(4));
    let play = |hook: Hook| {
        let mut last = 0;
        for round in 0..rounds + CALM {
            start.wait();
            let begun = stage.begin(hook, &mut last);
            if let Some(decided) = stage.decide(begun, &|| {}) {
                stage.arrive_in_turn(&decided, round);
            }
            end.wait();
            if stage.has_failed() {
                break;
            }
        }
    };
    let sent = std::thread::scope(|threads| {
        threads.spawn(|| play(Hook::Controller));
        threads.spawn(|| play(Hook::RecoveryManager));
        let delivery = threads.spawn(|| {
            let mut sent = Vec::new();
            for _ in 0..rounds + CALM {
                start.wait();
                sent.extend(stage.deliver());
                end.wait();
                if stage.has_failed() {
                    break;
                }
            }
            sent
        });
        for round in 0..rounds + CALM {
            stage.advance(round, true);
            start.wait();
            end.wait();
            if stage.has_failed() {
                break;
            }
        }
        delivery.join().unwrap()
    });
    let sent = sent.into_iter().chain(stage.deliver()).collect();
    (stage.end(), sent)
}

/// A queue of shell-operator: the next run begins after the writes of the one before have arrived or were given up.
struct Queue {
    hook: Hook,
    last: usize,
    /// Writes that are held up, and until when.
    held_up: Option<(usize, Decided)>,
    /// No write is held up before this round.
    rests: usize,
}

impl Queue {
    fn new(hook: Hook) -> Self {
        Self {
            hook,
            last: 0,
            held_up: None,
            rests: 0,
        }
    }
}

/// How two runs of one round lie to each other.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// One after the other.
    Apart,
    /// Both begin, and decide in that order.
    InOrder,
    /// Both begin, and the later one decides first.
    Crossed,
    /// Both begin, and the later one decides while the other fetches readings.
    Within,
    /// The later one begins and decides while the other fetches readings.
    Inside,
}

const SHAPES: [Shape; 5] = [
    Shape::Apart,
    Shape::InOrder,
    Shape::Crossed,
    Shape::Within,
    Shape::Inside,
];

/// Both hooks on one thread, in an order that the seed says; writes are held up for at most so many rounds.
pub(super) fn scheduled(scenario: &Scenario, rounds: usize, seed: u64, most: u64) -> Played {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(scenario, folder.path(), rounds, seed);
    let mut dice = Dice::new(seed ^ 0x5eed);
    let mut queues = [Hook::Controller, Hook::RecoveryManager].map(Queue::new);
    let mut sent = Vec::new();
    for round in 0..rounds + CALM {
        stage.advance(round, true);
        for queue in &mut queues {
            if let Some((_, decided)) = queue.held_up.take_if(|(until, _)| *until <= round) {
                stage.arrive(&decided, round);
                queue.rests = round + 6;
            }
        }
        let mut ready: Vec<&mut Queue> = queues
            .iter_mut()
            .filter(|queue| queue.held_up.is_none())
            .collect();
        if dice.one_in(2) {
            ready.reverse();
        }
        let shape = SHAPES[usize::try_from(dice.below(5)).unwrap()];
        let mut decided = match ready.as_mut_slice() {
            [] => Vec::new(),
            [only] => vec![run(&stage, only)],
            [first, second, ..] => pair(&stage, first, second, (shape, round)),
        };
        if dice.one_in(2) {
            decided.reverse();
        }
        for decided in decided.into_iter().flatten() {
            let is_its = |queue: &&mut Queue| queue.hook == decided.hook;
            let queue = ready.iter_mut().find(|queue| is_its(queue)).unwrap();
            let rested = queue.rests <= round;
            if rested && stage.api().one_in(12) {
                let until = round + 1 + usize::try_from(dice.below(most)).unwrap();
                queue.held_up = Some((until, decided));
            } else {
                stage.arrive(&decided, round);
            }
        }
        sent.extend(stage.deliver());
        if stage.has_failed() {
            break;
        }
    }
    (stage.end(), sent)
}

/// Each run of the controller takes so long that one of the recovery-manager begins and decides within it.
pub(super) fn overtaken(scenario: &Scenario, rounds: usize) -> Played {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(scenario, folder.path(), rounds, 0);
    let [mut controller, mut recovery] = [Hook::Controller, Hook::RecoveryManager].map(Queue::new);
    let mut sent = Vec::new();
    for round in 0..rounds + CALM {
        stage.advance(round, false);
        let decided = pair(
            &stage,
            &mut controller,
            &mut recovery,
            (Shape::Within, round),
        );
        for decided in decided.into_iter().flatten() {
            stage.arrive(&decided, round);
        }
        sent.extend(stage.deliver());
    }
    (stage.end(), sent)
}

fn run(stage: &Stage<'_>, queue: &mut Queue) -> Option<Decided> {
    let begun = stage.begin(queue.hook, &mut queue.last);
    stage.decide(begun, &|| {})
}

/// Two runs of one round; gives those whose writes have not arrived.
fn pair(
    stage: &Stage<'_>,
    first: &mut Queue,
    second: &mut Queue,
    (shape, round): (Shape, usize),
) -> Vec<Option<Decided>> {
    if matches!(shape, Shape::Apart) {
        if let Some(decided) = run(stage, first) {
            stage.arrive(&decided, round);
        }
        return vec![run(stage, second)];
    }
    let begun = stage.begin(first.hook, &mut first.last);
    if matches!(shape, Shape::Inside) {
        let (later, inner) = (RefCell::new(Some(second)), RefCell::new(None));
        // A run that has nothing to evaluate fetches nothing.
        let meanwhile = || {
            if let Some(second) = later.take() {
                inner.replace(run(stage, second));
            }
        };
        let outer = stage.decide(begun, &meanwhile);
        meanwhile();
        return vec![outer, inner.into_inner()];
    }
    let other = stage.begin(second.hook, &mut second.last);
    match shape {
        Shape::InOrder => vec![stage.decide(begun, &|| {}), stage.decide(other, &|| {})],
        Shape::Crossed => vec![stage.decide(other, &|| {}), stage.decide(begun, &|| {})],
        Shape::Apart | Shape::Within | Shape::Inside => {
            let (later, inner) = (RefCell::new(Some(other)), RefCell::new(None));
            let meanwhile = || {
                if let Some(other) = later.take() {
                    inner.replace(stage.decide(other, &|| {}));
                }
            };
            let outer = stage.decide(begun, &meanwhile);
            meanwhile();
            vec![outer, inner.into_inner()]
        }
    }
}
