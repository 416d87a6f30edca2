use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// What the thread of the only worker, which is one of this process, has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) all: Duration,
    /// Of it, outside of the kernel. Counted by the clock's ticks.
    pub(crate) user: Duration,
}

impl Spent {
    /// Until now.
    pub(crate) fn now() -> Result<Self, Box<dyn Error>> {
        let task = worker()?;
        // Nanoseconds on a CPU come first.
        let all = number(&fs::read_to_string(task.join("schedstat"))?, 0)?;
        // pid (name) state ..., of which utime is the 14th, stime the 15th (proc(5)).
        let stat = fs::read_to_string(task.join("stat"))?;
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        let (user, kernel) = (number(behind_name, 11)?, number(behind_name, 12)?);
        let all = Duration::from_nanos(all);
        Ok(Self {
            all,
            user: all.mul_f64(user as f64 / (user + kernel).max(1) as f64),
        })
    }

    /// From then on.
    pub(crate) fn since(self, then: Self) -> Self {
        Self {
            all: self.all.saturating_sub(then.all),
            user: self.user.saturating_sub(then.user),
        }
    }
}

fn worker() -> Result<PathBuf, Box<dyn Error>> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // Another thread may end meanwhile.
        if fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("worker-")) {
            return Ok(task);
        }
    }
    Err("there is no worker".into())
}

fn number(text: &str, place: usize) -> Result<u64, Box<dyn Error>> {
    let field = text.split_whitespace().nth(place).ok_or("a field is missing")?;
    Ok(field.parse()?)
}

/// How many processes have waited for a CPU in the last minute, on average: above the number of CPUs times are longer
/// for it.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}
