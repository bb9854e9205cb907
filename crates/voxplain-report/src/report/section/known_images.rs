//! [`KnownImage`]: atlases and templates whose works a methods text can cite, since it is certain which they are.
//!
//! An atlas is known by the BLAKE3 of its image, or by the names under which both its image and its table are distributed; a template by
//! its BLAKE3, or by the name under which it is distributed. All others are the user's to cite.

use std::path::Path;
use voxplain_core::{Citation, Result, hash_file};

/// An atlas or a template with the works that it comes from.
#[derive(Debug, PartialEq)]
pub(in crate::report) struct KnownImage {
    /// `the Brainnetome atlas`.
    pub(in crate::report) called: &'static str,
    pub(in crate::report) works: &'static [Citation],
    /// BLAKE3 of its files.
    hashes: &'static [&'static str],
    /// How the names of its image begin, and of its table.
    names: &'static [[&'static str; 2]],
}

#[rustfmt::skip]
const FAN_2016: Citation = Citation { key: "fan2016", bibtex: "@article{fan2016,\n  author = {Fan, Lingzhong and Li, Hai and Zhuo, Junjie and Zhang, Yu and Wang, Jiaojian and Chen, Liangfu and Yang, Zhengyi and Chu, Congying and Xie, Sangma and Laird, Angela R. and Fox, Peter T. and Eickhoff, Simon B. and Yu, Chunshui and Jiang, Tianzi},\n  title = {{The Human Brainnetome Atlas: A New Brain Atlas Based on Connectional Architecture}},\n  journal = {Cerebral Cortex},\n  volume = {26},\n  number = {8},\n  pages = {3508--3526},\n  year = {2016},\n  doi = {10.1093/cercor/bhw157}\n}" };
#[rustfmt::skip]
const MORI_2008: Citation = Citation { key: "mori2008", bibtex: "@article{mori2008,\n  author = {Mori, Susumu and Oishi, Kenichi and Jiang, Hangyi and Jiang, Li and Li, Xin and Akhter, Kazi and Hua, Kegang and Faria, Andreia V. and Mahmood, Asif and Woods, Roger and Toga, Arthur W. and Pike, G. Bruce and Neto, Pedro Rosa and Evans, Alan and Zhang, Jiangyang and Huang, Hao and Miller, Michael I. and van Zijl, Peter and Mazziotta, John},\n  title = {{Stereotaxic white matter atlas based on diffusion tensor imaging in an ICBM template}},\n  journal = {NeuroImage},\n  volume = {40},\n  number = {2},\n  pages = {570--582},\n  year = {2008},\n  doi = {10.1016/j.neuroimage.2007.12.035}\n}" };
#[rustfmt::skip]
const TZOURIO_MAZOYER_2002: Citation = Citation { key: "tzouriomazoyer2002", bibtex: "@article{tzouriomazoyer2002,\n  author = {Tzourio-Mazoyer, N. and Landeau, B. and Papathanassiou, D. and Crivello, F. and Etard, O. and Delcroix, N. and Mazoyer, B. and Joliot, M.},\n  title = {{Automated Anatomical Labeling of Activations in SPM Using a Macroscopic Anatomical Parcellation of the MNI MRI Single-Subject Brain}},\n  journal = {NeuroImage},\n  volume = {15},\n  number = {1},\n  pages = {273--289},\n  year = {2002},\n  doi = {10.1006/nimg.2001.0978}\n}" };
#[rustfmt::skip]
const DESIKAN_2006: Citation = Citation { key: "desikan2006", bibtex: "@article{desikan2006,\n  author = {Desikan, Rahul S. and S{\\'e}gonne, Florent and Fischl, Bruce and Quinn, Brian T. and Dickerson, Bradford C. and Blacker, Deborah and Buckner, Randy L. and Dale, Anders M. and Maguire, R. Paul and Hyman, Bradley T. and Albert, Marilyn S. and Killiany, Ronald J.},\n  title = {{An automated labeling system for subdividing the human cerebral cortex on MRI scans into gyral based regions of interest}},\n  journal = {NeuroImage},\n  volume = {31},\n  number = {3},\n  pages = {968--980},\n  year = {2006},\n  doi = {10.1016/j.neuroimage.2006.01.021}\n}" };
#[rustfmt::skip]
const MAKRIS_2006: Citation = Citation { key: "makris2006", bibtex: "@article{makris2006,\n  author = {Makris, Nikos and Goldstein, Jill M. and Kennedy, David and Hodge, Steven M. and Caviness, Verne S. and Faraone, Stephen V. and Tsuang, Ming T. and Seidman, Larry J.},\n  title = {{Decreased volume of left and total anterior insular lobule in schizophrenia}},\n  journal = {Schizophrenia Research},\n  volume = {83},\n  number = {2--3},\n  pages = {155--171},\n  year = {2006},\n  doi = {10.1016/j.schres.2005.11.020}\n}" };
#[rustfmt::skip]
const SCHAEFER_2018: Citation = Citation { key: "schaefer2018", bibtex: "@article{schaefer2018,\n  author = {Schaefer, Alexander and Kong, Ru and Gordon, Evan M. and Laumann, Timothy O. and Zuo, Xi-Nian and Holmes, Avram J. and Eickhoff, Simon B. and Yeo, B. T. Thomas},\n  title = {{Local-Global Parcellation of the Human Cerebral Cortex from Intrinsic Functional Connectivity MRI}},\n  journal = {Cerebral Cortex},\n  volume = {28},\n  number = {9},\n  pages = {3095--3114},\n  year = {2018},\n  doi = {10.1093/cercor/bhx179}\n}" };
#[rustfmt::skip]
const FONOV_2011: Citation = Citation { key: "fonov2011", bibtex: "@article{fonov2011,\n  author = {Fonov, Vladimir and Evans, Alan C. and Botteron, Kelly and Almli, C. Robert and McKinstry, Robert C. and Collins, D. Louis},\n  title = {{Unbiased average age-appropriate atlases for pediatric studies}},\n  journal = {NeuroImage},\n  volume = {54},\n  number = {1},\n  pages = {313--327},\n  year = {2011},\n  doi = {10.1016/j.neuroimage.2010.07.033}\n}" };
#[rustfmt::skip]
const GRABNER_2006: Citation = Citation { key: "grabner2006", bibtex: "@inproceedings{grabner2006,\n  author = {Grabner, G{\\\"u}nther and Janke, Andrew L. and Budge, Marc M. and Smith, David and Pruessner, Jens and Collins, D. Louis},\n  title = {{Symmetric Atlasing and Model Based Segmentation: An Application to the Hippocampus in Older Adults}},\n  booktitle = {Medical Image Computing and Computer-Assisted Intervention},\n  pages = {58--66},\n  year = {2006},\n  doi = {10.1007/11866763_8}\n}" };

/// Atlases, with names of image and table as they are distributed.
const ATLASES: &[KnownImage] = &[
    KnownImage {
        called: "the Brainnetome atlas",
        works: &[FAN_2016],
        hashes: &["de81f3484c7ae06eb08f1e6ac3de4515b9b39291d940bd2b0b5f791eac6766ab"],
        names: &[["BN_Atlas_246_", "BN_Atlas_246"]],
    },
    KnownImage {
        called: "the white matter atlas ICBM-DTI-81 of JHU",
        works: &[MORI_2008],
        hashes: &["ee5f57ad2842733190ed0e448c2266c792c6e157809128ac7fdb057c446281b5"],
        names: &[["JHU-ICBM-labels-", "JHU-labels"]],
    },
    KnownImage {
        called: "the atlas AAL",
        works: &[TZOURIO_MAZOYER_2002],
        hashes: &["fd52963658868f9489d847ce6e6553c8ee742a005aad26e435409dea887f55e3"],
        names: &[],
    },
    KnownImage {
        called: "the Harvard-Oxford atlas",
        works: &[DESIKAN_2006, MAKRIS_2006],
        hashes: &[
            "bfe0d5ae48a12fab36f3ef9ba8e9a1f5cd908f637882a6f8ed8dec7aa4b83698",
            "0650452b4d041125fe2b33baedbcce91e472ca179f9d8810f15da27314ddbb99",
            "0a942ca67f9e3b168803ed4779848a332596249dbcb327d840ee2f5746148f50",
            "0c29993e4f67f3a478aaef7052ba6c02a149a697d9aca6a310c314c0eb4ae5ef",
        ],
        names: &[
            ["HarvardOxford-cort-maxprob-", "HarvardOxford-Cortical"],
            ["HarvardOxford-sub-maxprob-", "HarvardOxford-Subcortical"],
        ],
    },
    KnownImage {
        called: "the parcellation of Schaefer et al.",
        works: &[SCHAEFER_2018],
        hashes: &[],
        names: &[["Schaefer2018_", "Schaefer2018_"]],
    },
];

/// Templates; their names have no table beside them.
const TEMPLATES: &[KnownImage] = &[
    KnownImage {
        called: "the template ICBM 152 nonlinear of 2009",
        works: &[FONOV_2011],
        hashes: &[
            "5068a827fe12451bdd525da3fbc9be2b517db87032ea4dd18f5e9aa4ce340f9e",
            "84d1ec260f77da1542d667a725179f3e56ab126282ddc005dc28af56c9351644",
        ],
        names: &[["tpl-MNI152NLin2009cAsym_", ""], ["mni_icbm152_t1_tal_nlin_", ""]],
    },
    KnownImage {
        called: "the template MNI 152 nonlinear of the sixth generation",
        works: &[GRABNER_2006],
        hashes: &[
            "32651693f94ba2c68c44d90bbb798f858aebfaf620de6e8e2d4e2d36451f71fa",
            "2faceea4d9eb5ebec58ec0c4a4392ea8eacab84774428103e75056c3169af190",
            "aa0bf0886890ac94f8656b44f8e2d00943adfdee3ff8bbb6ba032c2cd21d0833",
        ],
        names: &[["tpl-MNI152NLin6Asym_", ""]],
    },
];

/// The atlas of an image and its table, where it is certain which it is. An image that is not there has no hash.
///
/// # Errors
/// A file that cannot be read.
pub(in crate::report) fn atlas(image: &Path, table: &Path) -> Result<Option<&'static KnownImage>> {
    let hash = if image.is_file() { Some(hash_file(image)?) } else { None };
    Ok(find(ATLASES, hash.as_deref(), image, table))
}

/// The template of a file with that hash, where it is certain which it is.
pub(in crate::report) fn template(path: &Path, hash: &str) -> Option<&'static KnownImage> {
    find(TEMPLATES, Some(hash), path, Path::new(""))
}

fn find(known: &'static [KnownImage], hash: Option<&str>, image: &Path, table: &Path) -> Option<&'static KnownImage> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (image, table) = (name(image), name(table));
    let named = |of: &[&str; 2]| image.starts_with(of[0]) && table.starts_with(of[1]);
    known.iter().find(|of| hash.is_some_and(|hash| of.hashes.contains(&hash)) || of.names.iter().any(named))
}

/// All works, for the test of references.
#[cfg(test)]
pub(super) fn works() -> impl Iterator<Item = Citation> {
    ATLASES.iter().chain(TEMPLATES).flat_map(|of| of.works).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_bytes_or_by_both_names() {
        let called = |image: &str, table: &str| atlas(Path::new(image), Path::new(table)).unwrap().map(|of| of.called);
        assert_eq!(called("/a/BN_Atlas_246_2mm.nii.gz", "BN_Atlas_246_LUT.txt"), Some("the Brainnetome atlas"));
        assert_eq!(
            called("HarvardOxford-sub-maxprob-thr25-1mm.nii.gz", "HarvardOxford-Subcortical.xml"),
            Some("the Harvard-Oxford atlas")
        );
        // One name alone, or two that do not belong together, is not enough.
        assert_eq!(called("BN_Atlas_246_2mm.nii.gz", "labels.txt"), None);
        assert_eq!(called("HarvardOxford-sub-maxprob-thr25-1mm.nii.gz", "HarvardOxford-Cortical.xml"), None);
        assert_eq!(called("atlas.nii.gz", "atlas.tsv"), None);
        let key = |name: &str, hash: &str| template(Path::new(name), hash).map(|of| of.works[0].key);
        assert_eq!(key("mine.nii.gz", TEMPLATES[0].hashes[1]), Some("fonov2011"));
        assert_eq!(key("tpl-MNI152NLin6Asym_res-01_T1w.nii.gz", "0"), Some("grabner2006"));
        assert_eq!(key("MNI152_my_own.nii.gz", "0"), None);
        let hashes: Vec<&str> = ATLASES.iter().chain(TEMPLATES).flat_map(|of| of.hashes).copied().collect();
        assert!(hashes.iter().all(|hash| hash.len() == 64));
        // Every work has a DOI.
        assert!(works().all(|work| work.bibtex.contains("  doi = {10.")));
    }
}
