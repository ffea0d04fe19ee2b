//! What the system says of this process, and of others.

/// Memory of a process that is resident, in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident {
    /// Now.
    pub(crate) now: u64,
    /// The most that it ever had.
    pub(crate) peak: u64,
}

/// The most memory that this process ever had resident, in MiB; nothing where the system does not say.
pub(crate) fn peak_mebibytes() -> Option<u64> {
    resident("self").map(|resident| resident.peak)
}

/// Memory of a process, by its number; nothing where it has ended, or the system does not say.
pub(crate) fn resident_of(process: u32) -> Option<Resident> {
    resident(&process.to_string())
}

fn resident(process: &str) -> Option<Resident> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let mebibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes / 1024)
    };
    Some(Resident { now: mebibytes("VmRSS:")?, peak: mebibytes("VmHWM:")? })
}

/// Seconds of processor time that this process used; nothing where the system does not say.
pub(crate) fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // The unit of these fields is fixed for programs: 100 a second.
    Some(ticks as f64 / 100.0)
}
