//! The disk workers: threads that take pieces of work from one queue.
//!
//! There are two priorities. What somebody waits for (cold pages, stores, opening) goes before hashing whole files, but
//! never starves it. Long work is done in slices that queue again behind each other, so that several files advance
//! together and a store never waits for more than a slice. The queue is bounded by what the core asks for: its buffers,
//! its downloads, and one slice a worker for each file.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::results::unless_it_panics;
use crate::platform::aligned_bytes::AlignedBytes;

/// A worker reads files through a block of so many bytes, which stays in the second-level cache while the hash
/// passes over it.
const BLOCK: usize = 256 << 10;
/// At least one task out of so many is a background task, when there is one.
const BACKGROUND_SHARE: u32 = 4;

/// Work for a worker, which lends it its block.
pub(crate) type Task = Box<dyn FnOnce(&mut [u8]) + Send>;

/// How urgent a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Somebody waits for it.
    Urgent,
    /// A slice of something long.
    Background,
}

/// Where work is handed in; clones hand in to the same workers.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Shared>);

struct Shared {
    queues: Mutex<TaskQueues>,
    wake: Condvar,
}

#[derive(Default)]
struct TaskQueues {
    urgent: VecDeque<Task>,
    background: VecDeque<Task>,
    taken: u32,
    closed: bool,
}

impl TaskQueues {
    fn take(&mut self) -> Option<Task> {
        let background_first = (self.taken + 1).is_multiple_of(BACKGROUND_SHARE);
        let background = if background_first { self.background.pop_front() } else { None };
        let task = background.or_else(|| self.urgent.pop_front()).or_else(|| self.background.pop_front())?;
        self.taken = (self.taken + 1) % BACKGROUND_SHARE;
        Some(task)
    }
}

impl Shared {
    /// A worker that panicked left the queues whole: nothing of a task runs under the lock.
    fn queues(&self) -> MutexGuard<'_, TaskQueues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Hands in a task; it is dropped when the workers are stopping.
    pub(crate) fn push(&self, priority: Priority, task: Task) {
        let mut queues = self.0.queues();
        if queues.closed {
            return;
        }
        match priority {
            Priority::Urgent => queues.urgent.push_back(task),
            Priority::Background => queues.background.push_back(task),
        }
        drop(queues);
        self.0.wake.notify_one();
    }

    fn run(&self) {
        let mut block = AlignedBytes::zeroed(BLOCK);
        loop {
            let mut queues = self.0.queues();
            let task = loop {
                match queues.take() {
                    Some(task) => break task,
                    None if queues.closed => return,
                    None => queues = self.0.wake.wait(queues).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(queues);
            // A defect costs one request, which is answered all the same, and no worker.
            unless_it_panics(|| task(&mut block));
        }
    }
}

/// The workers of one node.
pub(crate) struct Workers {
    queue: Queue,
    count: usize,
    /// Ends when every worker has ended: each holds a sender.
    ended: Receiver<()>,
}

impl Workers {
    /// Starts `count` workers, or one for each core when that is 0.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(count: u16, log: &tracing::Dispatch) -> io::Result<Workers> {
        let count = match count {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => usize::from(count),
        };
        let queue = Queue(Arc::new(Shared { queues: Mutex::default(), wake: Condvar::new() }));
        let (alive, ended) = channel();
        let workers = Workers { queue, count, ended };
        for number in 0..count {
            // Those that have started end when `workers` is dropped.
            workers.start_one(number, alive.clone(), log.clone())?;
        }
        Ok(workers)
    }

    fn start_one(&self, number: usize, alive: Sender<()>, log: tracing::Dispatch) -> io::Result<()> {
        let queue = self.queue.clone();
        std::thread::Builder::new().name(format!("riffle-disk-{number}")).spawn(move || {
            let _alive = alive;
            tracing::dispatcher::with_default(&log, || queue.run());
        })?;
        Ok(())
    }

    /// Where to hand in work.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// How many workers there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn close(&self) {
        let mut queues = self.queue.0.queues();
        queues.closed = true;
        queues.background.clear();
        drop(queues);
        self.queue.0.wake.notify_all();
    }

    /// Lets the workers finish what somebody waits for, drops the rest, and waits for them at most `timeout`.
    /// Whether they all ended in time.
    pub(crate) fn stop(self, timeout: Duration) -> bool {
        self.close();
        let deadline = Instant::now() + timeout;
        loop {
            match self.ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
                Ok(()) => {}
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_work_goes_first_and_background_work_is_not_starved() {
        let mut queues = TaskQueues::default();
        let (sender, receiver) = channel();
        for number in 0..8 {
            let (urgent, background) = (sender.clone(), sender.clone());
            queues.urgent.push_back(Box::new(move |_| urgent.send(number).expect("a listener")));
            queues
                .background
                .push_back(Box::new(move |_| background.send(100 + number).expect("a listener")));
        }
        let mut order = Vec::new();
        while let Some(task) = queues.take() {
            task(&mut []);
            order.push(receiver.try_recv().expect("one message a task"));
        }
        assert_eq!(order[..8], [0, 1, 2, 100, 3, 4, 5, 101]);
        assert_eq!(order.len(), 16);
    }

    #[test]
    fn a_task_that_panics_costs_no_worker() {
        let workers = Workers::start(1, &tracing::Dispatch::none()).expect("threads");
        let (sender, receiver) = channel();
        workers.queue().push(Priority::Urgent, Box::new(|_| std::panic::panic_any("meant to happen")));
        workers.queue().push(Priority::Urgent, Box::new(move |_| sender.send(1).expect("a listener")));
        assert_eq!(receiver.recv(), Ok(1));
        assert!(workers.stop(Duration::from_secs(10)));
    }

    #[test]
    fn workers_finish_urgent_work_before_they_end() {
        let workers = Workers::start(2, &tracing::Dispatch::none()).expect("threads");
        let (sender, receiver) = channel();
        for number in 0..50 {
            let sender = sender.clone();
            workers.queue().push(
                Priority::Urgent,
                Box::new(move |block| sender.send((number, block.len())).expect("heard")),
            );
        }
        drop(sender);
        assert!(workers.stop(Duration::from_secs(10)));
        let mut done: Vec<_> = receiver.iter().collect();
        done.sort_unstable();
        assert_eq!(done, (0..50).map(|number| (number, BLOCK)).collect::<Vec<_>>());
    }
}
