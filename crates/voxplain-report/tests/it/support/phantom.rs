//! A made brain with a map, and pictures as pixels.

use voxplain_volume::{Affine, Grid, Mask, Volume};

/// A brain of an ellipsoid with a brighter core, and a map that is positive in a ball of the left hemisphere and
/// negative in a ball of the right occiput; with the array's x axis to the right or to the left.
pub(crate) fn phantom(x_to_the_left: bool) -> (Volume, Mask, Volume) {
    let shape = [40, 48, 40];
    let affine = if x_to_the_left {
        Affine::from_rows([[-4.0, 0.0, 0.0, 78.0], [0.0, 4.0, 0.0, -110.0], [0.0, 0.0, 4.0, -70.0]])
    } else {
        Affine::from_spacing_origin([4.0; 3], [-78.0, -110.0, -70.0])
    };
    let grid = Grid::new(shape, affine).unwrap();
    let at = |v: [usize; 3]| grid.affine.apply(v.map(|x| x as f64));
    let radius =
        |[x, y, z]: [f64; 3]| ((x / 66.0).powi(2) + ((y + 16.0) / 84.0).powi(2) + ((z - 8.0) / 60.0).powi(2)).sqrt();
    let mask = Mask::from_fn(grid, |v| radius(at(v)) < 1.0);
    let brain = Volume::from_fn(grid, |v| {
        let r = radius(at(v));
        if r >= 1.0 {
            0.0
        } else if r > 0.86 {
            0.55
        } else {
            0.8 + 0.1 * (at(v)[1] / 9.0).sin() as f32
        }
    });
    let ball = |[x, y, z]: [f64; 3], c: [f64; 3], s: f64| {
        (-((x - c[0]).powi(2) + (y - c[1]).powi(2) + (z - c[2]).powi(2)) / (2.0 * s * s)).exp()
    };
    let map = Volume::from_fn(grid, |v| {
        let p = at(v);
        (0.012 * ball(p, [-36.0, 10.0, 20.0], 12.0) - 0.008 * ball(p, [30.0, -70.0, 0.0], 10.0)) as f32
    });
    (brain, mask, map)
}

/// Width, height and pixels of a PNG.
pub(crate) fn decode(png: &[u8]) -> (usize, usize, Vec<[u8; 3]>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let channels = info.color_type.samples();
    let pixels = bytes[..info.buffer_size()].chunks(channels).map(|p| [p[0], p[1], p[2]]).collect();
    (info.width as usize, info.height as usize, pixels)
}
