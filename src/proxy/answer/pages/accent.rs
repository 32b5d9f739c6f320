//! Shades of `[server] color` that can be read: for links on the ground of the pages, and for buttons.
//!
//! Contrast is that of WCAG 2.2: the ratio of the relative luminances, from 1 to 21.

use crate::config::BrandColor;

const BLACK: BrandColor = BrandColor([0; 3]);
const WHITE: BrandColor = BrandColor([255; 3]);

/// Contrast of text (WCAG 2.2, success criterion 1.4.3).
const TEXT: f64 = 4.5;
/// Contrast of a button with the ground, so that the button is seen. Its text has the contrast of text.
const SURFACE: f64 = 1.5;
/// Steps from a color to black or white.
const STEPS: u8 = 64;

/// One look of the pages.
struct Look {
    /// The ground on which the contrast is the lowest: `--ground` in light mode, `--sheet` in dark mode.
    ground: BrandColor,
    /// What a color that can hardly be seen is mixed with.
    away: BrandColor,
}

const LIGHT: Look = Look { ground: BrandColor([0xf6, 0xf7, 0xf9]), away: BLACK };
const DARK: Look = Look { ground: BrandColor([0x1d, 0x23, 0x2c]), away: WHITE };

/// Rules that replace the colors of links and buttons.
pub(super) fn rules(color: BrandColor) -> String {
    let [light, dark] = [LIGHT, DARK].map(|look| look.variables(color));
    format!(
        "\n:root {{ {light} }}\n\n@media (prefers-color-scheme: dark) {{\n  :root {{ {dark} }}\n}}\n"
    )
}

impl Look {
    fn variables(&self, color: BrandColor) -> String {
        let (accent, button) = (self.shade(color, TEXT), self.shade(color, SURFACE));
        format!("--accent: {accent}; --button: {button}; --button-ink: {};", ink(button))
    }

    /// The color, or the nearest shade with this contrast.
    fn shade(&self, color: BrandColor, wanted: f64) -> BrandColor {
        let shades = (0..=STEPS).map(|step| mix(color, self.away, step));
        shades
            .into_iter()
            .find(|shade| contrast(*shade, self.ground) >= wanted)
            .unwrap_or(self.away)
    }
}

/// Black or white text: one of them has a contrast of at least 4.58 with every color.
fn ink(button: BrandColor) -> BrandColor {
    if contrast(button, WHITE) >= TEXT { WHITE } else { BLACK }
}

/// `step` of [`STEPS`] from one color to the other.
fn mix(BrandColor(from): BrandColor, BrandColor(to): BrandColor, step: u8) -> BrandColor {
    let part = f64::from(step) / f64::from(STEPS);
    let mixed = |from: u8, to: u8| f64::from(from) + (f64::from(to) - f64::from(from)) * part;
    let mut bytes = from;
    for (byte, to) in bytes.iter_mut().zip(to) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a value between two bytes"
        )]
        let value = mixed(*byte, to).round() as u8;
        *byte = value;
    }
    BrandColor(bytes)
}

fn contrast(one: BrandColor, other: BrandColor) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Relative luminance, from 0 to 1.
fn luminance(BrandColor(bytes): BrandColor) -> f64 {
    let [red, green, blue] = bytes.map(|byte| {
        let part = f64::from(byte) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contrast_is_that_of_the_standard() {
        assert!((contrast(BLACK, WHITE) - 21.0).abs() < 0.001);
        // #767676 on white is the well-known limit of 4.5.
        assert!((contrast(BrandColor([0x76; 3]), WHITE) - 4.54).abs() < 0.01);
        assert!((contrast(WHITE, WHITE) - 1.0).abs() < 0.001);
    }

    #[test]
    fn every_color_can_be_read_in_both_looks() {
        let steps = || (0..=255).step_by(17);
        for (red, green, blue) in steps().flat_map(|red| {
            steps().flat_map(move |green| steps().map(move |blue| (red, green, blue)))
        }) {
            let color = BrandColor([red, green, blue]);
            for look in [LIGHT, DARK] {
                let (accent, button) = (look.shade(color, TEXT), look.shade(color, SURFACE));
                assert!(contrast(accent, look.ground) >= TEXT, "{color} as {accent}");
                assert!(contrast(button, look.ground) >= SURFACE, "{color} as {button}");
                assert!(contrast(button, ink(button)) >= TEXT, "{color} as {button}");
            }
        }
    }

    #[test]
    fn a_color_that_can_be_read_is_not_changed() {
        let violet = BrandColor([0x7a, 0x1f, 0xa2]);
        let text = rules(violet);
        let light = "--accent: #7a1fa2; --button: #7a1fa2; --button-ink: #ffffff;";
        assert!(text.contains(light), "{text}");
        let yellow = rules(BrandColor([0xff, 0xc1, 0x07]));
        assert!(yellow.contains("--button-ink: #000000;"), "{yellow}");
        assert!(!yellow.contains("--accent: #ffc107; --button: #ffc107; --button-ink: #ffffff;"));
    }

    #[test]
    fn the_grounds_are_those_of_the_style_sheet() {
        let text = include_str!("colors.css");
        let (light, dark) = text.split_once("@media").unwrap();
        assert!(light.contains(&format!("--ground: {};", LIGHT.ground)));
        assert!(dark.contains(&format!("--sheet: {};", DARK.ground)));
    }
}
