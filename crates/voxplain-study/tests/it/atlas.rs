//! The atlases people use, with the traps they hold: a finding or a refusal, never a wrong name.

use crate::support::witness;
use std::path::Path;
use voxplain_core::Error;
use voxplain_study::atlas::{Atlas, Hemisphere, LabelTable, MapName, RegionTable, SideSource};
use voxplain_volume::{Affine, Grid, Labels, Mask, Volume};

fn atlas(image: &str, table: &str) -> Option<Result<Atlas, Error>> {
    let (image, table) = (witness(&format!("data/{image}"))?, witness(&format!("data/{table}"))?);
    Some(Atlas::open(&image, &table, false))
}

fn table(name: &str) -> Option<LabelTable> {
    Some(LabelTable::read(&witness(&format!("data/{name}"))?).unwrap())
}

#[test]
fn every_form_of_table_reads_with_its_own_ids() {
    // Rows counted with `wc -l` less header and background; names read off the files by eye.
    for (file, rows, id, name, side) in [
        ("atlases/AAL.csv", 120, 110, "R_Cerebelum_9", Some(Hemisphere::Right)),
        ("atlases/Desikan.csv", 70, 2, "L_Banks_superior_temporal_sulcus", Some(Hemisphere::Left)),
        ("atlases/Destrieux.csv", 74, 43, "Occipital_pole", None),
        ("atlases/HarvardOxfordcort-maxprob.csv", 48, 48, "Occipital_Pole", None),
        ("atlases/HarvardOxfordsub-maxprob.csv", 21, 20, "Left_Amygdala", Some(Hemisphere::Left)),
        ("atlases/Tissue.csv", 3, 3, "White_Matter", None),
        ("atlases/Yeo-7.csv", 7, 5, "5_Lymbic_Area", None),
        ("atlases/aparc+aseg_DK.csv", 112, 2035, "ctx-rh-insula", Some(Hemisphere::Right)),
        ("atlases/schaefer200.csv", 200, 1, "7Networks_LH_Vis_1", Some(Hemisphere::Left)),
        ("atlases/BN_Atlas_246.txt", 246, 246, "Tha_R_8_8", Some(Hemisphere::Right)),
        ("atlases/JHU-WhiteMatter-labels-1mm.txt", 48, 45, "Uncinate_fasciculus_R", Some(Hemisphere::Right)),
        ("atlases/LabelLookupTable_ICBM_WMPM_50.txt", 50, 50, "Tapatum left", Some(Hemisphere::Left)),
        ("cohort_ixi/MUSE_mapping_consecutive_indices.csv", 151, 47, "right_hippocampus", Some(Hemisphere::Right)),
    ] {
        let Some(table) = table(file) else { return };
        assert_eq!(table.regions.len(), rows, "{file}");
        let region = table.get(id).unwrap_or_else(|| panic!("{file}: no {id}"));
        assert_eq!((region.name.as_str(), region.hemisphere), (name, side), "{file}");
    }
}

#[test]
fn other_forms_of_table() {
    let read = |text: &str| LabelTable::parse(text.as_bytes(), Path::new("labels.txt"));
    let lut = read("#No. Label Name: R G B A\n\n0 Unknown 0 0 0 0\n17  Left-Hippocampus   220 216 20 0\n").unwrap();
    assert_eq!((lut.regions[0].id, lut.regions[0].name.as_str()), (17, "Left-Hippocampus"));
    let snap = read("0 0 0 0 0 0 0 \"Clear Label\"\n3 0 255 0 1 1 1 \"Right thalamus\"\n").unwrap();
    assert_eq!((snap.regions[0].id, snap.regions[0].name.as_str()), (3, "Right thalamus"));
    for (form, id, name) in [
        // Schaefer's order files: tabs, blanks, or both.
        ("1\t7Networks_LH_Vis_1\t120\t18\t131\t0\n2\t7Networks_RH_Vis_1\t120\t18\t132\t0\n", 1, "7Networks_LH_Vis_1"),
        ("1 7Networks_LH_Vis_1 120 18 131 0\n", 1, "7Networks_LH_Vis_1"),
        ("1\t7Networks_LH_Vis_1 120 18 131 0\n", 1, "7Networks_LH_Vis_1"),
        ("ROI Label,ROI Name,R,A,S\n1,7Networks_LH_Vis_1,-27,-39,-18\n", 1, "7Networks_LH_Vis_1"),
        // Colours before the name, as nilearn's and ITK-SNAP's neighbours write them.
        ("1,70,130,180,0,Left-Cerebral-White-Matter\n", 1, "Left-Cerebral-White-Matter"),
        ("1 70 130 180 0 Left thalamus\n", 1, "Left thalamus"),
        ("index,r,g,b,name\n7,1,2,3,Left putamen\n", 7, "Left putamen"),
        // Numbers that belong to names, ids as decimals, a header between blanks.
        ("4.0,Area 4\n", 4, "Area 4"),
        ("4 Area 4 p\n", 4, "Area 4 p"),
        ("index\tname\n3.0\tLeft insula\n", 3, "Left insula"),
        ("index name\n3 Left insula\n", 3, "Left insula"),
        // Line ends of Windows and of old Macs, comments, blanks among tabs, lines that a spreadsheet left.
        ("# a comment\r\n1\tLeft insula\r\n\r\n2\tRight insula\r\n", 2, "Right insula"),
        ("1,Left insula\r2,Right insula\r", 2, "Right insula"),
        ("1\tLeft insula\n2   Right insula  10 20 30 0\n", 2, "Right insula"),
        ("index,name,color\n1.0,Left insula,#781283\n,,\n2.0,Right insula,#781284\n,,\n", 2, "Right insula"),
        ("1 Left insula #781283\n", 1, "Left insula"),
        // Commas in names.
        ("index,name\n1,\"Insula, left\"\n", 1, "Insula, left"),
        ("1,\"Insula, left\",120,18,131\n", 1, "Insula, left"),
        ("1 \"Insula, left\"\n2 \"Insula, right\"\n", 2, "Insula, right"),
        ("1 0 255 0 1 1 1 \"Insula, left\"\n", 1, "Insula, left"),
        ("1 \"Left insula\" 120 18 131 0\n", 1, "Left insula"),
        ("1 Insula, left\n2 Insula, right\n", 2, "Insula, right"),
        // A number below 0 that names nothing, and codes behind names (AAL of MRIcron, of SPM with tabs).
        ("-1,Unknown\n1,Left insula\n", 1, "Left insula"),
        ("index\tname\n-1\tn/a\n1\tLeft insula\n", 1, "Left insula"),
        ("1 Precentral_L 2001\n2 Precentral_R 2002\n", 2, "Precentral_R"),
        ("1\tV1\t2001\n2\tV2\t2002\n", 2, "V2"),
        ("1 Area 1\n2 Area 2\n", 2, "Area 2"),
        ("\"index\"\t\"name\"\t\"abbreviation\"\n\"7\"\t\"Left putamen\"\t\"PUT\"\n", 7, "Left putamen"),
    ] {
        let table = read(form).unwrap_or_else(|e| panic!("{form:?}: {e}"));
        assert_eq!(table.get(id).map(|r| r.name.as_str()), Some(name), "{form:?}");
    }
    let fsl = |kind: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<atlas><header><name>A</name><type>{kind}</type></header>\n<data>\n\
             <label index=\"0\" x=\"48\" y=\"94\" z=\"35\">Frontal Pole</label>\n\
             <label index='1' x='1'>Left Heschl&apos;s &amp; more</label>\n</data></atlas>\n"
        )
    };
    let summary = read(&fsl("Probabalistic")).unwrap();
    assert_eq!(summary.get(1).map(|r| r.name.as_str()), Some("Frontal Pole"));
    assert_eq!(summary.get(2).map(|r| r.name.as_str()), Some("Left Heschl's & more"));
    assert_eq!(read(&fsl("Label")).unwrap().get(1).map(|r| r.name.as_str()), Some("Left Heschl's & more"));
    let sided = read("\u{feff}id;name;hemi\r\n1;Insula;L\r\n2;Insula;R\r\n").unwrap();
    assert_eq!(sided.regions[1].hemisphere, Some(Hemisphere::Right));
    assert_eq!(sided.findings[0].id, "name-twice");
    for (text, word) in [
        ("1,A\n1,B\n", "twice"),
        ("1,A\nx,B\n", "no label number"),
        ("index,name\n1.5,A\n", "no label number"),
        ("1,70,130,180,0\n", "numbers only"),
        ("<atlas></atlas>", "without a <label index"),
        ("<atlas>\n<label x='1'>A</label></atlas>", "line 2: a <label>"),
        ("foo,bar\n1,A\n", "columns foo, bar"),
        ("Region_number Region\n1 A\n2 B\n", "is not known as a header"),
        ("-1,A\n1,B\n", "\"-1\" is no label number"),
        ("index,name\n-3,A\n", "\"-3\" is no label number"),
        ("1.5,A\n", "\"1.5\" is no label number"),
        ("1.0,A\n1,A\n", "twice"),
        ("Unknown\nA\n", "names only"),
        ("name\nBackground\nA\n", "names only"),
        ("name\n", "names no region"),
        ("A\n7\n", "a number among names"),
        ("", "no rows"),
        (
            "<VALUE_LABEL_DTABLE\n ni_type=\"2*String\"\n ni_dimen=\"1\" >\n\"1\" \"Insula\"\n</VALUE_LABEL_DTABLE>\n",
            "of AFNI",
        ),
        ("Insula\n1 255 0 0 255\nLeft Putamen\n2 0 255 0 255\n", "of Connectome Workbench"),
        ("0,null\n", "names no region"),
        ("id,name,hemi\n1,Left insula,R\n", "left by its name and right"),
        ("1,left_or_right\n", "left and right"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(word), "{text:?}: {error}");
    }
    assert!(LabelTable::parse(&[0, 1, 2, 255], Path::new("a.nii")).is_err());
    let wide = "index\tname\r\n1\tInsula, größer\r\n";
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(wide.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let table = LabelTable::parse(&utf16, Path::new("labels.tsv")).unwrap();
    assert_eq!(table.regions[0].name, "Insula, größer");
}

#[test]
fn matching_atlases_open() {
    for (image, table, regions) in [
        ("atlases/BN_Atlas_246_1mm.nii.gz", "atlases/BN_Atlas_246.txt", 246),
        ("atlases/JHU-WhiteMatter-labels-1mm.nii.gz", "atlases/JHU-WhiteMatter-labels-1mm.txt", 48),
        ("atlases/Desikan_2mm.nii.gz", "atlases/Desikan.csv", 70),
        ("atlases/Destrieux_2mm.nii.gz", "atlases/Destrieux.csv", 74),
        ("atlases/HarvardOxfordcort-maxprob-thr25_4mm.nii.gz", "atlases/HarvardOxfordcort-maxprob.csv", 48),
        ("atlases/Yeo-7_4mm.nii.gz", "atlases/Yeo-7.csv", 7),
        ("atlases/Tissue_2mm.nii.gz", "atlases/Tissue.csv", 3),
        ("atlases/schaefer200_cropped_1mm.nii.gz", "atlases/schaefer200.csv", 200),
        ("atlases/aparc+aseg_DK_MNI_LIA_1mm.nii.gz", "atlases/aparc+aseg_DK.csv", 112),
    ] {
        let Some(atlas) = atlas(image, table) else { return };
        let atlas = atlas.unwrap_or_else(|e| panic!("{image}: {e}"));
        assert_eq!(atlas.ids().count(), regions, "{image}");
    }
}

#[test]
fn labels_above_127_and_sparse_ids_survive() {
    let Some(atlas) = atlas("atlases/aparc+aseg_DK_MNI_LIA_1mm.nii.gz", "atlases/aparc+aseg_DK.csv") else { return };
    let atlas = atlas.unwrap();
    assert_eq!(atlas.ids().max(), Some(2035));
    assert_eq!(atlas.side(2035), (Some(Hemisphere::Right), SideSource::Table));
    assert_eq!(atlas.name(1005), "ctx-lh-cuneus");
}

#[test]
fn a_null_row_is_a_finding() {
    let Some(atlas) = atlas("atlases/Destrieux_2mm.nii.gz", "atlases/Destrieux.csv") else { return };
    let atlas = atlas.unwrap();
    assert!(atlas.findings.iter().any(|f| f.id == "null-row" && f.what.contains("42")), "{:?}", atlas.findings);
    assert!(!atlas.ids().any(|id| id == 42));
    // No side in these names, and the regions are on both sides.
    assert_eq!(atlas.side(43), (Some(Hemisphere::Both), SideSource::Geometry));
}

#[test]
fn tables_of_other_images_are_refused() {
    let refused = |image: &str, table: &str, word: &str| {
        let Some(result) = atlas(image, table) else { return };
        let error = result.unwrap_err();
        assert!(error.to_string().contains(word), "{image} with {table}: {error}");
        assert!(error.remedy().is_some());
        let (image, table) = (witness(&format!("data/{image}")).unwrap(), witness(&format!("data/{table}")).unwrap());
        let allowed = Atlas::open(&image, &table, true).unwrap();
        assert!(allowed.findings.iter().any(|f| f.id == "table-mismatch"), "{:?}", allowed.findings);
    };
    // 48 labels, 50 rows: the names of 45 to 48 are others.
    refused(
        "atlases/JHU-WhiteMatter-labels-1mm.nii.gz",
        "atlases/LabelLookupTable_ICBM_WMPM_50.txt",
        "2 of the table's 50 rows",
    );
    // 116 labels of the first AAL, 120 rows of the second.
    refused("atlases/AAL_2mm.nii.gz", "atlases/AAL.csv", "4 of the table's 120 rows");
    refused("atlases/BN_Atlas_246_1mm.nii.gz", "atlases/JHU-WhiteMatter-labels-1mm.txt", "have no row");
    // This image is mirrored: all that the table calls right lies left of the midline.
    refused(
        "atlases/HarvardOxfordsub-maxprob-thr25_2mm.nii.gz",
        "atlases/HarvardOxfordsub-maxprob.csv",
        "20 of 20 regions",
    );
}

#[test]
fn a_small_region_that_a_coarse_grid_lost_is_a_row_without_voxels() {
    let table = LabelTable::parse(b"1,A\n2,B\n3,C\n4,D\n", Path::new("labels.csv")).unwrap();
    let open = |spacing: f64, labels: [u32; 4]| {
        let grid = Grid::new([4, 1, 1], Affine::from_spacing_origin([spacing; 3], [0.0; 3])).unwrap();
        let labels = Labels::new(grid, labels.to_vec()).unwrap();
        Atlas::new(Path::new("atlas.nii"), labels, table.clone(), Vec::new(), false)
    };
    let lost = |atlas: &Atlas| atlas.findings.iter().any(|f| f.id == "regions-lost");
    assert!(!lost(&open(2.0, [1, 2, 3, 4]).unwrap()));
    assert!(lost(&open(2.0, [1, 3, 3, 4]).unwrap()));
    assert!(lost(&open(7.0, [1, 2, 3, 3]).unwrap()), "the last one, on a coarse grid");
    // The last one on a fine grid, or several: the table of another image.
    for (spacing, labels) in [(2.0, [1, 2, 3, 3]), (2.0, [1, 4, 4, 4]), (7.0, [1, 2, 2, 2])] {
        assert!(open(spacing, labels).unwrap_err().to_string().contains("no voxel: "), "{labels:?}");
    }
    // And it has its row.
    let atlas = open(2.0, [1, 3, 3, 4]).unwrap();
    let mut regions = RegionTable::default();
    let map = Volume::filled(*atlas.labels.grid(), 1.0);
    regions.measure(&MapName { map: "map".into(), ..MapName::default() }, &map, &atlas, None).unwrap();
    let row = regions.rows.iter().find(|r| r.id == Some(2)).unwrap();
    assert_eq!((&*row.name, row.voxels, row.mean), ("B", 0, None));
    assert_eq!(row.note, Some("no voxel in the label image"));
}

/// A header above names that are counted would be the name of label 1, and every name that of the label before.
#[test]
fn a_list_of_names_does_not_take_its_header_for_a_name() {
    let parse = |text: &str| LabelTable::parse(text.as_bytes(), Path::new("names.txt")).unwrap();
    let open = |spacing: f64, text: &str| {
        let grid = Grid::new([4, 1, 1], Affine::from_spacing_origin([spacing; 3], [0.0; 3])).unwrap();
        let labels = Labels::new(grid, vec![1, 2, 3, 3]).unwrap();
        Atlas::new(Path::new("atlas.nii"), labels, parse(text), Vec::new(), false)
    };
    let headers =
        ["name", "Region names", "ROI", "region name(s)", "\"Label\"", "STRUCTURE", "Full name", "Regions of interest"];
    for header in headers {
        for spacing in [2.0, 6.0] {
            let atlas = open(spacing, &format!("{header}\nInsula\nPutamen\nThalamus\n")).unwrap();
            assert_eq!([1, 2, 3].map(|id| atlas.name(id)), ["Insula", "Putamen", "Thalamus"], "{header}");
            assert!(atlas.findings.iter().any(|f| f.what.contains("under the header")), "{:?}", atlas.findings);
        }
    }
    // Names of regions are none, and comments are no lines.
    assert_eq!(parse("Area 44\nInsula\n").get(1).map(|r| r.name.as_str()), Some("Area 44"));
    assert_eq!(parse("# of us\n\nInsula\nPutamen\n\n").get(1).map(|r| r.name.as_str()), Some("Insula"));
    // Of an unknown header it is said that it may be one, on a coarse grid too, where a last region may else have been lost.
    for text in ["Gehirnregion\nInsula\nPutamen\nThalamus\n", "name\nInsula\nPutamen\nThalamus\nPons\n"] {
        for spacing in [2.0, 6.0] {
            let error = open(spacing, text).unwrap_err().to_string();
            assert!(error.contains("if that is a header, leave it out"), "{error}");
        }
    }
    let error = LabelTable::parse(b"Insula\n\nPutamen\n", Path::new("names.txt")).unwrap_err().to_string();
    assert!(error.contains("\"Insula\" in line 1 and \"Putamen\" in line 3"), "{error}");
}

#[test]
fn a_side_in_a_cell_of_its_own_is_no_part_of_the_name() {
    let parse = |text: &str| LabelTable::parse(text.as_bytes(), Path::new("labels.csv")).unwrap();
    for text in [
        "1,Insula,L\n2,Insula b,R\n3,Pons,\n",
        "1\tInsula\tleft\n2\tInsula b\tright\n3\tPons\n",
        "1,Insula,lh,220,20,3\n2,Insula b,rh,220,20,4\n3,Pons,,1,2,3\n",
    ] {
        let table = parse(text);
        let found: Vec<_> = table.regions.iter().map(|r| (r.name.as_str(), r.hemisphere)).collect();
        let expected = [("Insula", Some(Hemisphere::Left)), ("Insula b", Some(Hemisphere::Right)), ("Pons", None)];
        assert_eq!(found, expected, "{text}");
    }
    // Where one of them is none, they belong to names.
    assert_eq!(parse("1,Area,L\n2,Area,M\n").regions[0].name, "Area L");
}

#[test]
fn an_atlas_without_a_place_is_not_laid_over_a_map() {
    let (Some(image), Some(map)) =
        (witness("data/atlases/JHU_MNI_SS_WMPM_Type-II.nii.gz"), witness("data/atlases/Yeo-7_4mm.nii.gz"))
    else {
        return;
    };
    let rows: String = (1..=130).map(|n| format!("{n},region {n}\n")).collect();
    let table = LabelTable::parse(rows.as_bytes(), Path::new("made.csv")).unwrap();
    let (labels, findings) = voxplain_volume::read_labels(&image).unwrap();
    let atlas = Atlas::new(&image, labels, table, findings, false).unwrap();
    let map = voxplain_volume::read(&map, &voxplain_volume::ReadOptions::default()).unwrap().volume;
    let error = atlas.on_grid(map.grid()).unwrap_err();
    assert!(error.to_string().contains("0, 0, 0 mm"), "{error}");
}

#[test]
fn labels_that_do_not_meet_the_map_are_refused() {
    let table = LabelTable::parse(b"1,A\n", Path::new("a.csv")).unwrap();
    let labels = Labels::filled(Grid::new([4, 4, 4], Affine::from_spacing_origin([1.0; 3], [50.0; 3])).unwrap(), 1);
    let atlas = Atlas::new(Path::new("a.nii"), labels, table, vec![], false).unwrap();
    let error = atlas.on_grid(&Grid::new([4, 4, 4], Affine::IDENTITY).unwrap()).unwrap_err();
    assert!(error.to_string().contains("does not meet"), "{error}");
}

#[test]
fn a_mask_or_map_that_is_not_right_is_refused() {
    let grid = Grid::new([2, 2, 2], Affine::from_spacing_origin([1.0; 3], [-0.5; 3])).unwrap();
    let table = LabelTable::parse(b"1,A\n", Path::new("a.csv")).unwrap();
    let atlas = Atlas::new(Path::new("a.nii"), Labels::filled(grid, 1), table, vec![], false).unwrap();
    let name = MapName { map: "m".into(), ..MapName::default() };
    let nan = Volume::filled(grid, f32::NAN);
    let error = RegionTable::default().measure(&name, &nan, &atlas, None).unwrap_err();
    assert!(error.to_string().contains("8 values are not numbers"), "{error}");
    let elsewhere = Mask::filled(Grid::new([2, 2, 2], Affine::IDENTITY).unwrap(), true);
    let map = Volume::filled(grid, 1.0);
    assert!(RegionTable::default().measure(&name, &map, &atlas, Some(&elsewhere)).is_err());
}

/// Two regions and unlabelled brain, all numbers by hand.
#[test]
fn regions_by_hand() {
    // x = -1.5, -0.5, 0.5, 1.5 mm with spacing (1, 2, 2): a voxel is 4 mm³.
    let grid = Grid::new([4, 1, 2], Affine::from_spacing_origin([1.0, 2.0, 2.0], [-1.5, 10.0, 20.0])).unwrap();
    let labels = Labels::new(grid, vec![3, 3, 3, 0, 0, 300, 300, 300]).unwrap();
    let table = LabelTable::parse(b"3,Left thing\n300,other\n", Path::new("a.csv")).unwrap();
    let atlas = Atlas::new(Path::new("a.nii"), labels, table, vec![], false).unwrap();
    let map = Volume::new(grid, vec![1.0, -2.0, 0.0, 0.0, 5.0, -1.0, -4.0, 3.0]).unwrap();
    let mut table = RegionTable::default();
    let name = |subject: &str| MapName {
        map: subject.into(),
        subject: Some(subject.into()),
        method: Some("sobel".into()),
        model: None,
    };
    table.measure(&name("a"), &map, &atlas, None).unwrap();
    let [left, other, rest] = table.rows.as_slice() else { panic!("{:?}", table.rows) };
    assert_eq!((left.id, left.voxels, left.volume, left.sum), (Some(3), 3, 12.0, -1.0));
    assert_eq!(left.mean, Some(-1.0 / 3.0));
    assert_eq!((left.share_positive, left.share_negative), (Some(1.0 / 9.0), Some(2.0 / 7.0)));
    assert_eq!(left.density, Some(-1.0 / 12.0));
    // |relevance| 3 of 16, voxels 3 of 7 (the zero that no label covers is no brain).
    assert_eq!(left.enrichment, Some((3.0 / 16.0) / (3.0 / 7.0)));
    assert_eq!(left.peak, Some((-2.0, [-1.5, 10.0, 22.0])));
    assert_eq!((left.hemisphere, left.side_source), (Some(Hemisphere::Left), SideSource::Table));
    assert_eq!((other.id, other.sum, other.peak), (Some(300), -2.0, Some((-4.0, [1.5, 10.0, 20.0]))));
    assert_eq!((rest.id, rest.voxels, rest.sum, &*rest.name), (None, 1, 5.0, "unlabelled"));
    let positive: f64 = table.rows.iter().filter_map(|r| r.share_positive).sum();
    assert!((positive - 1.0).abs() < 1e-15);

    // Where the map is zero says nothing of the brain; a mask does: it holds two of the six labelled voxels.
    assert!(table.findings.iter().all(|f| f.id != "poor-overlap"));
    let mask = Mask::from_fn(grid, |[i, ..]| i == 3);
    let mut masked = RegionTable::default();
    masked.measure(&name("a"), &map, &atlas, Some(&mask)).unwrap();
    assert!(masked.findings.iter().any(|f| f.id == "poor-overlap" && f.what.contains("33 %")), "{:?}", masked.findings);

    // A second subject with twice the map: means 1.5 times, and no interval for two people.
    table.measure(&name("b"), &map.map(|x| 2.0 * x), &atlas, None).unwrap();
    table.summarise();
    assert_eq!(table.group.len(), 3);
    let sum = table.group[0].sum.unwrap();
    assert_eq!((sum.mean, sum.n, sum.low), (-1.5, 2, None));
    assert_eq!(table.about_intervals().unwrap(), "No intervals: none for fewer than 5 people.");
    // Six people by three models, with sums -1, -2, -3 a model: mean -2, and t(2) = 4.30265 times 1 / sqrt(3).
    let mut six = RegionTable::default();
    for n in 0..6u8 {
        let factor = f32::from(n / 2 + 1);
        let name = MapName { model: Some(format!("model {}", n / 2)), ..name(&n.to_string()) };
        six.measure(&name, &map.map(|x| factor * x), &atlas, None).unwrap();
    }
    six.summarise();
    let sum = six.group[0].sum.unwrap();
    assert_eq!((sum.mean, sum.n, sum.models, sum.intraclass), (-2.0, 6, Some(3), Some(1.0)));
    assert!((sum.high.unwrap() - (-2.0 + 4.302_652_73 / 3f64.sqrt())).abs() < 1e-6, "{sum:?}");
    let (people, means) = (table.people_table(), table.means_table());
    assert_eq!((people.rows.len(), means.rows.len()), (6, 3));
    for table in [people, means] {
        assert!(table.rows.iter().all(|r| r.len() == table.columns.len()), "{table:?}");
    }
}

/// Every voxel of the map's grid by brute force: the label of the atlas voxel that holds its centre, in world mm.
#[test]
fn labels_keep_their_place_and_value_through_resampling() {
    // LAS at 1 mm to RAS at 1 mm with another field of view: x runs the other way.
    let las =
        Grid::new([9, 7, 5], Affine::from_rows([[-1.0, 0.0, 0.0, 4.0], [0.0, 1.0, 0.0, -3.0], [0.0, 0.0, 1.0, -2.0]]))
            .unwrap();
    let labels = Labels::from_fn(las, |[i, j, k]| u32::try_from(1000 + 100 * i + 10 * j + k).unwrap());
    let ras = Grid::new([7, 9, 5], Affine::from_spacing_origin([1.0; 3], [-3.0, -4.0, -2.0])).unwrap();
    let moved = labels.resample_majority(&ras, 0);
    for n in 0..ras.len() {
        let world = ras.affine.apply(ras.voxel(n).map(|v| v as f64));
        let mut expected = 0;
        for m in 0..las.len() {
            if las.affine.apply(las.voxel(m).map(|v| v as f64)) == world {
                expected = labels.data()[m];
            }
        }
        assert_eq!(moved.data()[n], expected, "{world:?}");
    }
    // Coarser by 3: 27 votes of one voxel's cube: 14 win.
    let fine = Grid::new([3, 3, 3], Affine::IDENTITY).unwrap();
    let coarse = Grid::new([1, 1, 1], Affine::from_spacing_origin([3.0; 3], [1.0; 3])).unwrap();
    let mut votes = Labels::filled(fine, 128);
    votes.data_mut()[..14].fill(2035);
    votes.data_mut()[13] = 2035;
    assert_eq!(votes.resample_majority(&coarse, 0).data(), [2035]);
    votes.data_mut()[..13].fill(2035);
    votes.data_mut()[13] = 128;
    assert_eq!(votes.resample_majority(&coarse, 0).data(), [128]);
}

#[test]
fn tables_that_may_be_read_in_two_ways() {
    let parse = |text: &str, file: &str| LabelTable::parse(text.as_bytes(), Path::new(file));
    let ids =
        |table: &LabelTable| -> Vec<(u32, String)> { table.regions.iter().map(|r| (r.id, r.name.clone())).collect() };
    let named = |all: &[(u32, &str)]| -> Vec<(u32, String)> {
        all.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
    };
    // FSL's XML whose index counts from 1 or from 0.
    let xml = |kind: &str, names: &[&str]| {
        let label = |(n, name): (usize, &&str)| format!("<label index=\"{n}\">{name}</label>");
        let labels: String = names.iter().enumerate().map(label).collect();
        parse(&format!("<atlas>{kind}<data>{labels}</data></atlas>"), "a.xml")
    };
    assert_eq!(ids(&xml("<type>Probabilistic</type>", &["A", "B"]).unwrap()), named(&[(1, "A"), (2, "B")]));
    assert_eq!(ids(&xml("<type>Probabilistic</type>", &["Background", "B"]).unwrap()), named(&[(1, "B")]));
    let found = ids(&xml("", &["Unclassified", "<![CDATA[B & C]]>"]).unwrap());
    assert_eq!(found.last(), Some(&(1, "B & C".to_owned())));
    let refused = xml("", &["A", "B"]).unwrap_err();
    assert!(refused.to_string().contains("whether index 0 is the image's label 0 or 1 is not said"), "{refused}");
    let refused = xml("<type>Statistic</type>", &["A", "B"]).unwrap_err();
    assert!(refused.to_string().contains("an atlas of type Statistic: its image holds no labels"), "{refused}");
    let commented = xml("<type>Label</type><!-- <label index=\"1\">old</label> -->", &["A", "B"]).unwrap();
    assert_eq!(ids(&commented).last(), Some(&(1, "B".to_owned())));
    // Names before numbers, two columns of numbers, names that are numbers.
    let refused = parse("Area 44,1,7\nArea 45,2,8\n", "t.csv").unwrap_err();
    assert!(refused.to_string().contains("column 2 has numbers in every line"), "{refused}");
    let table = parse("1,4,Area 44\n2,7,Area 45\n", "t.csv").unwrap();
    assert_eq!(ids(&table), named(&[(1, "Area 44"), (2, "Area 45")]));
    assert!(table.findings.iter().any(|f| f.id == "two-columns-of-ids"), "{:?}", table.findings);
    let refused = parse("No\tROI\tAcronym\n1\t5\tA\n2\t6\tB\n", "t.tsv").unwrap_err();
    assert!(refused.to_string().contains("\"ROI\", by its name that of the names, holds numbers alone"), "{refused}");
    // Numbers of names before colours.
    let table = parse("1 Area 44 70 130 180 0\n2 Area 45 1 2 3 0\n", "t.txt").unwrap();
    assert_eq!(ids(&table), named(&[(1, "Area 44"), (2, "Area 45")]));
    let table = parse("1 Area 44 70 130 180\n2 Insula 1 2 3\n", "t.txt").unwrap();
    assert_eq!(ids(&table), named(&[(1, "Area 44"), (2, "Insula")]));
    let table = parse("1\tArea 44\t70\t130\t180\t0\n2\tInsula\t1\t2\t3\t0\n", "t.txt").unwrap();
    assert_eq!(ids(&table), named(&[(1, "Area 44"), (2, "Insula")]));
    // Names with numbers in another order than the lines'.
    let refused = parse("Parietal 2\nFrontal 1\n", "t.txt").unwrap_err();
    assert!(refused.to_string().contains("whether a label is the number or the line is not said"), "{refused}");
    assert!(parse("Frontal 1\nParietal 2\n", "t.txt").is_ok());
    // Two columns of ids that differ.
    let findings = |text: &str| parse(text, "t.csv").unwrap().findings.iter().map(|f| f.id).collect::<Vec<_>>();
    assert_eq!(findings("index,label,name\n1,2,A\n2,1,B\n"), ["two-columns-of-ids"]);
    assert_eq!(findings("index,label,name\n1,1,A\n2,2,B\n"), [""; 0]);
}
