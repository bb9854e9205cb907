//! Values of flags that several verbs take, as they are typed.

use crate::shell::Shell;
use std::path::{Path, PathBuf};
use voxplain::{
    cohort::{Normalize, VolumeType},
    shard::{Shard, Share},
};

/// `--normalize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Intensities {
    /// As they are.
    None,
    /// (x - median) / interquartile range; the median brain becomes 0, as air is.
    Robust,
    /// (x - mean) / standard deviation; the mean brain becomes 0, as air is.
    Zscore,
    /// x / median: the median brain becomes 1, air stays 0.
    BrainMedian,
    /// x / white matter: white matter becomes 1, air stays 0.
    WhiteMatter,
}

impl From<Intensities> for Normalize {
    fn from(how: Intensities) -> Self {
        match how {
            Intensities::None => Self::None,
            Intensities::Robust => Self::Robust,
            Intensities::Zscore => Self::Zscore,
            Intensities::BrainMedian => Self::BrainMedian,
            Intensities::WhiteMatter => Self::WhiteMatter,
        }
    }
}

/// `--dtype`: in which precision volumes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Precision {
    /// Single precision, 4 bytes a voxel.
    #[value(alias = "f32")]
    Float32,
    /// Half precision, 2 bytes a voxel: each value to within 1 part in 2048.
    #[value(alias = "f16")]
    Float16,
}

impl From<Precision> for VolumeType {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Float32 => Self::Float32,
            Precision::Float16 => Self::Float16,
        }
    }
}

/// For clap: a part of the work, `2/8` or `auto`.
pub(crate) fn share(text: &str) -> Result<Share, String> {
    text.parse().map_err(|error: voxplain::Error| match error.remedy() {
        Some(remedy) => format!("{error}; {}", remedy.render(&Shell)),
        None => error.to_string(),
    })
}

/// The part of the work that this process is to do, where it is not all.
pub(crate) fn shard(share: Option<Share>) -> voxplain::Result<Option<Shard>> {
    share.map(|share| share.shard(|name| std::env::var(name).ok())).transpose()
}

/// For clap: a grid's shape from `58x70x58`.
pub(crate) fn shape(text: &str) -> Result<[usize; 3], String> {
    let parts: Option<Vec<usize>> =
        text.split(['x', 'X', ',']).map(|n| n.trim().parse().ok().filter(|n| *n > 0)).collect();
    parts.and_then(|p| p.try_into().ok()).ok_or_else(|| "expected three positive numbers, as in 58x70x58".into())
}

/// For clap: a size such as `2GiB`, `512MB` or `1.5 GiB` (B, kB, MB, GB by 1000; KiB, MiB, GiB by 1024), in bytes.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err("write a number with its unit, such as 2GiB or 800MB".into()),
    };
    let size = number.trim().parse::<f64>().ok().map(|n| n * factor).filter(|n| (1.0..1e15).contains(n));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1e15")]
    size.map(|n| n as usize).ok_or_else(|| "write a number with its unit, such as 2GiB or 800MB".into())
}

/// Bytes of memory that are free, where the system says.
pub(crate) fn free_memory() -> Option<usize> {
    voxplain::memory::available().and_then(|bytes| usize::try_from(bytes).ok())
}

/// For clap: the value above which a voxel belongs.
pub(crate) fn threshold(text: &str) -> Result<f64, String> {
    let value: Option<f64> = text.trim().parse().ok();
    value.filter(|v| v.is_finite()).ok_or_else(|| "expected a number, as in 0.5 or -0.5".into())
}

/// For clap: the file of a channel.
pub(crate) fn channel(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("write the channel and its file, as in FLAIR=flair.nii.gz".into()),
    }
}

/// For clap: a table of labels; `freesurfer` is that of the user's own FreeSurfer.
pub(crate) fn labels(text: &str) -> Result<PathBuf, String> {
    if text != "freesurfer" {
        return Ok(text.into());
    }
    let home = std::env::var_os("FREESURFER_HOME").filter(|home| !home.is_empty());
    let home =
        home.ok_or("FREESURFER_HOME is not set: set it to the folder of FreeSurfer, or give the file of the table")?;
    let table = Path::new(&home).join("FreeSurferColorLUT.txt");
    if table.is_file() { Ok(table) } else { Err(format!("{} is not there (FREESURFER_HOME says so)", table.display())) }
}

#[cfg(test)]
mod tests {
    use super::{bytes, threshold};

    #[test]
    fn a_threshold_is_a_number() {
        assert_eq!((threshold("-0.5"), threshold(" 127.5")), (Ok(-0.5), Ok(127.5)));
        for wrong in ["nan", "inf", "-inf", "", "half", "0,5"] {
            assert!(threshold(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        assert_eq!(bytes(" 1.5 mb"), Ok(1_500_000));
        assert_eq!(bytes("12KiB"), Ok(12288));
        for wrong in ["2", "GiB", "-1GB", "0MB", "2TiBs", "nanGB", "infGB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
