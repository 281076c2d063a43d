//! A text as a QR code, for paper and for a screen without a printer.

use png::{BitDepth, ColorType, Encoder, EncodingError};
use qrcode::render::unicode::Dense1x2;
use qrcode::{Color, EcLevel};

/// Light modules around the code: what the standard asks for.
const QUIET: usize = 4;
/// Dots of a module in a picture.
const DOTS: usize = 8;

/// A code.
pub(crate) struct QrCode(qrcode::QrCode);

impl QrCode {
    /// The code of some bytes, with a quarter of it to spare for stains where they are few enough.
    ///
    /// # Errors
    /// In words, where they are too many for any code.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, &'static str> {
        [EcLevel::Q, EcLevel::L]
            .into_iter()
            .find_map(|level| qrcode::QrCode::with_error_correction_level(bytes, level).ok())
            .map(Self)
            .ok_or("too long for a QR code")
    }

    /// Its width in modules.
    pub(crate) fn modules(&self) -> usize {
        self.0.width()
    }

    /// As text. Terminals are dark: what is light on paper is lit.
    pub(crate) fn words(&self) -> String {
        let (dark, light) = (Dense1x2::Light, Dense1x2::Dark);
        self.0.render::<Dense1x2>().dark_color(dark).light_color(light).build()
    }

    /// As a picture, one bit a dot.
    pub(crate) fn png(&self) -> Result<Vec<u8>, EncodingError> {
        let width = (self.modules() + 2 * QUIET) * DOTS;
        let colors = self.0.to_colors();
        let is_light = |x: usize, y: usize| {
            let module = |dot: usize| (dot / DOTS).checked_sub(QUIET).filter(|at| *at < self.modules());
            let color = module(x).zip(module(y)).and_then(|(x, y)| colors.get(y * self.modules() + x));
            color.is_none_or(|color| *color == Color::Light)
        };
        // A row is a whole number of bytes: a module is eight dots wide.
        let byte =
            |y: usize, x: usize| (0..8).fold(0, |byte, dot| byte << 1 | u8::from(is_light(x * 8 + dot, y)));
        let data: Vec<u8> = (0..width).flat_map(|y| (0..width / 8).map(move |x| byte(y, x))).collect();
        let mut picture = Vec::new();
        let side = u32::try_from(width).unwrap_or(u32::MAX);
        let mut encoder = Encoder::new(&mut picture, side, side);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&data)?;
        writer.finish()?;
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera sees in a picture, by another library.
    fn read(dots: usize, is_dark: impl FnMut(usize, usize) -> bool) -> String {
        let mut image = rqrr::PreparedImage::prepare_from_bitmap(dots, dots, is_dark);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_camera_reads_what_was_written_from_paper_and_from_a_screen() {
        for length in [40, 500, 1_400] {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let code = QrCode::of(text.as_bytes()).unwrap();
            let picture = code.png().unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().unwrap();
            let mut dots = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut dots).unwrap();
            let width = usize::try_from(info.width).unwrap();
            assert_eq!((width % 8, info.bit_depth), (0, BitDepth::One));
            let is_dark = |x: usize, y: usize| dots[y * width / 8 + x / 8] >> (7 - x % 8) & 1 == 0;
            assert_eq!(read(width, is_dark), text, "paper");

            let words = code.words();
            let rows: Vec<Vec<char>> = words.lines().map(|line| line.chars().collect()).collect();
            let lit = |x: usize, y: usize| match rows[y / 2][x] {
                '█' => true,
                '▀' => y.is_multiple_of(2),
                '▄' => !y.is_multiple_of(2),
                _ => false,
            };
            let side = rows[0].len();
            let is_dark = |x: usize, y: usize| !(y / 4 / 2 < rows.len() && lit(x / 4, y / 4));
            assert_eq!(read(side * 4, is_dark), text, "screen");
        }
        assert_eq!(QrCode::of(&[0xff; 3_000]).err(), Some("too long for a QR code"));
    }
}
