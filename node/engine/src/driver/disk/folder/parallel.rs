//! Tasks that several threads share.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// More threads than this write no quicker to one disk.
const MAX_THREADS: usize = 4;

/// Does all `tasks`, each thread with a state of its own. After an error no further task is begun.
///
/// # Errors
/// That of the first task in their order, among those that were begun.
pub(crate) fn each<S, T: Sync, E: Send>(
    tasks: &[T],
    begin: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let run = || {
        let mut state = begin();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(number) else { return };
            if let Err(cause) = work(&mut state, task) {
                next.store(tasks.len(), Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(before, _)| number < *before) {
                    *failed = Some((number, cause));
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS).min(tasks.len());
    thread::scope(|scope| {
        for _ in 1..threads {
            // Those that are there do the work when the system has no further thread.
            let _ = thread::Builder::new().spawn_scoped(scope, run);
        }
        run();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, cause)) => Err(cause),
        None => Ok(()),
    }
}

/// What comes of each of `tasks`, in their order.
///
/// # Errors
/// As [`each`].
pub(crate) fn map<T: Sync, R: Send, E: Send>(
    tasks: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let numbered: Vec<(usize, &T)> = tasks.iter().enumerate().collect();
    let results: Mutex<Vec<(usize, R)>> = Mutex::default();
    each(
        &numbered,
        || (),
        |(), (number, task)| {
            let result = work(task)?;
            results.lock().unwrap_or_else(PoisonError::into_inner).push((*number, result));
            Ok(())
        },
    )?;
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once_and_the_first_error_is_told() {
        let tasks: Vec<usize> = (0..1000).collect();
        let sum = AtomicUsize::new(0);
        let add = |count: &mut usize, task: &usize| {
            *count += 1;
            sum.fetch_add(*task, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        assert_eq!(each(&tasks, || 0, add), Ok(()));
        assert_eq!(sum.into_inner(), 499_500);
        let fail = |(): &mut (), task: &usize| if *task >= 500 { Err(*task) } else { Ok(()) };
        assert_eq!(each(&tasks, || (), fail), Err(500));
        let halves: Result<Vec<usize>, ()> = map(&tasks, |task| Ok(task / 2));
        assert_eq!(halves, Ok((0..1000).map(|task| task / 2).collect()));
    }
}
