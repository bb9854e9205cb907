//! [`pdf`]: a figure as a page of PDF, lines and letters as outlines, so that it is sharp at any size.
//!
//! What figures are made of is written: paths of one colour, groups, images. What they are not made of (gradients, filters, masks) is refused by
//! name, so that nothing is missing in silence.

use flate2::{Compression, write::ZlibEncoder};
use pdf_writer::{
    Content, Filter, Finish, Name, Pdf, Rect, Ref, TextStr,
    types::{LineCapStyle, LineJoinStyle},
};
use resvg::{
    tiny_skia::{self, PathSegment, Transform},
    usvg::{self, FillRule, Group, ImageKind, ImageRendering, LineCap, LineJoin, Node, Paint, PaintOrder, Path},
};
use std::io::{self, Write};

/// Objects that every file has; images and opacities come behind them.
const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const PAGE: Ref = Ref::new(3);
const CONTENTS: Ref = Ref::new(4);
const INFORMATION: Ref = Ref::new(5);
const FIRST: i32 = 6;

/// A picture in a figure: its pixels, compressed.
struct Picture {
    size: [i32; 2],
    colours: Vec<u8>,
    /// Of each pixel, where any is seen through.
    opacity: Option<Vec<u8>>,
    smooth: bool,
}

/// What is written on the page, and what it refers to.
struct Sheet {
    content: Content,
    pictures: Vec<Picture>,
    /// Of fills and strokes, as they are asked for.
    opacities: Vec<[f32; 2]>,
}

/// The bytes of a PDF of one page, as large as the figure is at `dpi` units of it to an inch. The same figure gives the same bytes.
///
/// # Errors
/// What it holds that cannot be written, in words.
pub(super) fn pdf(tree: &usvg::Tree, dpi: f32, title: &str) -> Result<Vec<u8>, String> {
    let scale = 72.0 / dpi;
    let (width, height) = (tree.size().width() * scale, tree.size().height() * scale);
    let mut sheet = Sheet { content: Content::new(), pictures: Vec::new(), opacities: Vec::new() };
    // A figure counts from the top, a page from the bottom.
    sheet.group(tree.root(), Transform::from_row(scale, 0.0, 0.0, -scale, 0.0, height))?;
    let Sheet { content, pictures, opacities } = sheet;

    let mut file = Pdf::new();
    file.catalog(CATALOG).pages(PAGES);
    file.pages(PAGES).kids([PAGE]).count(1);
    file.document_info(INFORMATION).title(TextStr(title)).producer(TextStr("voxplain"));
    let reference = |n: usize| Ref::new(FIRST + i32::try_from(n).unwrap_or(i32::MAX - FIRST));
    let mut page = file.page(PAGE);
    page.parent(PAGES).media_box(Rect::new(0.0, 0.0, width, height)).contents(CONTENTS);
    let mut resources = page.resources();
    let mut images = resources.x_objects();
    for n in 0..pictures.len() {
        images.pair(Name(name('I', n).as_bytes()), reference(2 * n));
    }
    images.finish();
    let mut states = resources.ext_g_states();
    for (n, [fill, stroke]) in opacities.iter().enumerate() {
        states
            .insert(Name(name('O', n).as_bytes()))
            .start::<pdf_writer::writers::ExtGraphicsState<'_>>()
            .non_stroking_alpha(*fill)
            .stroking_alpha(*stroke);
    }
    states.finish();
    resources.finish();
    page.finish();
    let drawn = packed(&content.finish()).map_err(|e| e.to_string())?;
    file.stream(CONTENTS, &drawn).filter(Filter::FlateDecode);
    for (n, picture) in pictures.iter().enumerate() {
        let (own, seen_through) = (reference(2 * n), reference(2 * n + 1));
        let mut image = file.image_xobject(own, &picture.colours);
        image.filter(Filter::FlateDecode);
        image.width(picture.size[0]).height(picture.size[1]).bits_per_component(8);
        image.color_space().device_rgb();
        image.interpolate(picture.smooth);
        if picture.opacity.is_some() {
            image.s_mask(seen_through);
        }
        image.finish();
        if let Some(opacity) = &picture.opacity {
            let mut mask = file.image_xobject(seen_through, opacity);
            mask.filter(Filter::FlateDecode);
            mask.width(picture.size[0]).height(picture.size[1]).bits_per_component(8);
            mask.color_space().device_gray();
        }
    }
    Ok(file.finish())
}

/// What a picture or an opacity is called on the page.
fn name(of: char, n: usize) -> String {
    format!("{of}{n}")
}

fn packed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    packer.finish()
}

impl Sheet {
    fn group(&mut self, group: &Group, above: Transform) -> Result<(), String> {
        if group.should_isolate() {
            return Err(format!("the group `{}` is cut, filtered or seen through as a whole", group.id()));
        }
        let transform = above.pre_concat(group.transform());
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group, transform)?,
                Node::Path(path) => self.path(path, transform)?,
                Node::Text(text) => self.group(text.flattened(), transform)?,
                Node::Image(image) if image.is_visible() => {
                    let size = image.size();
                    // An image fills a square of one unit, its first row on top.
                    let place = Transform::from_row(size.width(), 0.0, 0.0, -size.height(), 0.0, size.height());
                    let number = self.pictures.len();
                    self.pictures.push(picture(image.kind(), image.rendering_mode())?);
                    self.content.save_state().transform(matrix(transform.pre_concat(place)));
                    self.content.x_object(Name(name('I', number).as_bytes())).restore_state();
                }
                Node::Image(_) => {}
            }
        }
        Ok(())
    }

    fn path(&mut self, path: &Path, transform: Transform) -> Result<(), String> {
        if !path.is_visible() {
            return Ok(());
        }
        self.content.save_state().transform(matrix(transform));
        let opacity =
            [path.fill().map_or(1.0, |f| f.opacity().get()), path.stroke().map_or(1.0, |s| s.opacity().get())];
        if opacity != [1.0; 2] {
            let number = self.opacities.iter().position(|known| *known == opacity).unwrap_or_else(|| {
                self.opacities.push(opacity);
                self.opacities.len() - 1
            });
            self.content.set_parameters(Name(name('O', number).as_bytes()));
        }
        match path.paint_order() {
            PaintOrder::FillAndStroke => self.fill(path).and_then(|()| self.stroke(path))?,
            PaintOrder::StrokeAndFill => self.stroke(path).and_then(|()| self.fill(path))?,
        }
        self.content.restore_state();
        Ok(())
    }

    fn fill(&mut self, path: &Path) -> Result<(), String> {
        let Some(fill) = path.fill() else { return Ok(()) };
        let [r, g, b] = colour(fill.paint())?;
        self.content.set_fill_rgb(r, g, b);
        self.outline(path.data());
        match fill.rule() {
            FillRule::NonZero => self.content.fill_nonzero(),
            FillRule::EvenOdd => self.content.fill_even_odd(),
        };
        Ok(())
    }

    fn stroke(&mut self, path: &Path) -> Result<(), String> {
        let Some(stroke) = path.stroke() else { return Ok(()) };
        let [r, g, b] = colour(stroke.paint())?;
        let join = match stroke.linejoin() {
            LineJoin::Miter | LineJoin::MiterClip => LineJoinStyle::MiterJoin,
            LineJoin::Round => LineJoinStyle::RoundJoin,
            LineJoin::Bevel => LineJoinStyle::BevelJoin,
        };
        let cap = match stroke.linecap() {
            LineCap::Butt => LineCapStyle::ButtCap,
            LineCap::Round => LineCapStyle::RoundCap,
            LineCap::Square => LineCapStyle::ProjectingSquareCap,
        };
        self.content
            .set_stroke_rgb(r, g, b)
            .set_line_width(stroke.width().get())
            .set_line_join(join)
            .set_line_cap(cap)
            .set_miter_limit(stroke.miterlimit().get());
        if let Some(dashes) = stroke.dasharray() {
            self.content.set_dash_pattern(dashes.iter().copied(), stroke.dashoffset());
        }
        self.outline(path.data());
        self.content.stroke();
        Ok(())
    }

    fn outline(&mut self, path: &tiny_skia::Path) {
        let mut at = tiny_skia::Point::zero();
        for segment in path.segments() {
            match segment {
                PathSegment::MoveTo(p) => {
                    self.content.move_to(p.x, p.y);
                    at = p;
                }
                PathSegment::LineTo(p) => {
                    self.content.line_to(p.x, p.y);
                    at = p;
                }
                // The same curve by two points.
                PathSegment::QuadTo(c, p) => {
                    let towards = |from: tiny_skia::Point| {
                        (from.x + (c.x - from.x) * 2.0 / 3.0, from.y + (c.y - from.y) * 2.0 / 3.0)
                    };
                    let ((ax, ay), (bx, by)) = (towards(at), towards(p));
                    self.content.cubic_to(ax, ay, bx, by, p.x, p.y);
                    at = p;
                }
                PathSegment::CubicTo(a, b, p) => {
                    self.content.cubic_to(a.x, a.y, b.x, b.y, p.x, p.y);
                    at = p;
                }
                PathSegment::Close => {
                    self.content.close_path();
                }
            }
        }
    }
}

fn matrix(t: Transform) -> [f32; 6] {
    [t.sx, t.ky, t.kx, t.sy, t.tx, t.ty]
}

/// Red, green and blue.
fn colour(paint: &Paint) -> Result<[f32; 3], String> {
    match paint {
        Paint::Color(c) => Ok([c.red, c.green, c.blue].map(|v| f32::from(v) / 255.0)),
        _ => Err("something is painted by a gradient or a pattern".to_owned()),
    }
}

fn picture(kind: &ImageKind, mode: ImageRendering) -> Result<Picture, String> {
    let ImageKind::PNG(bytes) = kind else { return Err("an image in it is no PNG".to_owned()) };
    let wrong = |e: &dyn std::fmt::Display| format!("an image in it cannot be read: {e}");
    let mut decoder = png::Decoder::new(io::Cursor::new(bytes.as_slice()));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| wrong(&e))?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or_else(|| wrong(&"it is too large"))?];
    let info = reader.next_frame(&mut pixels).map_err(|e| wrong(&e))?;
    pixels.truncate(info.buffer_size());
    let samples = info.color_type.samples();
    let of = |pixel: &[u8]| if samples < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
    let colours: Vec<u8> = pixels.chunks_exact(samples).flat_map(of).collect();
    let opacity: Option<Vec<u8>> = matches!(samples, 2 | 4)
        .then(|| pixels.chunks_exact(samples).map(|pixel| pixel[samples - 1]).collect::<Vec<u8>>())
        .filter(|all| all.iter().any(|o| *o < 255));
    let side = |n: u32| i32::try_from(n).map_err(|e| wrong(&e));
    Ok(Picture {
        size: [side(info.width)?, side(info.height)?],
        colours: packed(&colours).map_err(|e| wrong(&e))?,
        opacity: opacity.map(|all| packed(&all)).transpose().map_err(|e| wrong(&e))?,
        smooth: !matches!(mode, ImageRendering::OptimizeSpeed | ImageRendering::CrispEdges | ImageRendering::Pixelated),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::ZlibDecoder;
    use std::io::Read;

    fn tree(body: &str) -> usvg::Tree {
        let svg = format!("<svg xmlns='http://www.w3.org/2000/svg' width='96' height='48'>{body}</svg>");
        usvg::Tree::from_str(&svg, &usvg::Options::default()).unwrap()
    }

    /// What follows a word in the file, up to the next line.
    fn after<'a>(file: &'a [u8], word: &str) -> &'a [u8] {
        let at = file.windows(word.len()).position(|part| part == word.as_bytes()).unwrap() + word.len();
        &file[at..]
    }

    fn drawn(file: &[u8]) -> String {
        let mut text = String::new();
        ZlibDecoder::new(after(after(file, "4 0 obj"), "stream\n")).read_to_string(&mut text).unwrap();
        text
    }

    /// 96 units to an inch: a page of 72 x 36 points, its axis up, three quarters of a point to a unit.
    #[test]
    fn a_page_by_hand() {
        let of = |body: &str| pdf(&tree(body), 96.0, "two paths").unwrap();
        let file = of("<path d='M 10 20 L 30 20 Q 30 5 0 5 Z' fill='#ff0080'/>
             <path d='M 1 2 L 3 4' fill='none' stroke='#000' stroke-width='2' stroke-dasharray='4 2' stroke-opacity='0.5'/>");
        assert!(file.starts_with(b"%PDF-") && String::from_utf8_lossy(&file).contains("/MediaBox [0 0 72 36]"));
        assert_eq!(
            drawn(&file).split_whitespace().collect::<Vec<_>>().join(" "),
            "q 0.75 0 0 -0.75 0 36 cm 1 0 0.5019608 rg 10 20 m 30 20 l 30 10 20 5 0 5 c h f Q \
             q 0.75 0 0 -0.75 0 36 cm /O0 gs 0 0 0 RG 2 w 0 j 0 J 4 M [4 2] 0 d 1 2 m 3 4 l S Q"
        );
        assert!(String::from_utf8_lossy(&file).contains("/CA 0.5"));
        assert_eq!(of("<rect width='3' height='4'/>"), of("<rect width='3' height='4'/>"));
    }

    /// One red pixel beside one that is seen through by half, 4 units a pixel.
    #[test]
    fn a_picture_has_its_place_and_its_opacity() {
        let png = super::super::pixels::rgba(&[255, 0, 0, 255, 0, 0, 255, 128], [2, 1]).unwrap();
        let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png);
        let body = format!(
            "<image x='8' y='12' width='8' height='4' image-rendering='optimizeSpeed' href='data:image/png;base64,{data}'/>"
        );
        let file = pdf(&tree(&body), 96.0, "").unwrap();
        // Corners: 8 units from the left, 16 from the top, which is 12 points below 36.
        assert_eq!(drawn(&file).split_whitespace().collect::<Vec<_>>().join(" "), "q 6 0 0 3 6 24 cm /I0 Do Q");
        let unpacked = |of: &[u8]| {
            let mut bytes = Vec::new();
            ZlibDecoder::new(after(of, "stream\n")).read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(unpacked(after(&file, "6 0 obj")), [255, 0, 0, 0, 0, 255]);
        assert_eq!(unpacked(after(&file, "7 0 obj")), [255, 128]);
        assert!(String::from_utf8_lossy(&file).contains("/Interpolate false"));
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let gradient = "<linearGradient id='g'><stop offset='0' stop-color='red'/><stop offset='1' stop-color='blue'/></linearGradient>
             <rect width='9' height='9' fill='url(#g)'/>";
        assert!(pdf(&tree(gradient), 96.0, "").unwrap_err().contains("gradient"));
        let faint = "<g id='all' opacity='0.5'><rect width='9' height='9'/><rect width='9' height='9'/></g>";
        assert!(pdf(&tree(faint), 96.0, "").unwrap_err().contains("`all`"));
    }
}
