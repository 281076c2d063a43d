//! What a person would rather look at.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::point::Point;

const SIZE: (u32, u32) = (960, 540);
type Drawn = Result<(), Box<dyn Error>>;

fn colour(at: usize) -> PaletteColor<Palette99> {
    Palette99::pick(at)
}

/// Of which part of all answers it took no longer than this, one line for each load, on a logarithmic scale.
pub(crate) fn latencies(path: &Path, points: &[Point]) -> Drawn {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let most = points.iter().map(Point::max).fold(10.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption("How long an answer takes", ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((1.0..most).log_scale(), 0.0..1.0)?;
    chart
        .configure_mesh()
        .x_desc("milliseconds")
        .y_desc("part of the answers")
        .light_line_style(WHITE)
        .draw()?;
    for (at, point) in points.iter().enumerate() {
        let line = (0..=200).map(|step| f64::from(step) / 200.0).map(|part| (point.ms(part).max(1.0), part));
        let series = chart.draw_series(LineSeries::new(line, colour(at).stroke_width(2)))?;
        let sample = move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour(at).stroke_width(2));
        series.label(point.name.clone()).legend(sample);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(root.present()?)
}

/// Signatures a second against clients, with full pools.
pub(crate) fn throughput(path: &Path, points: &[Point]) -> Drawn {
    let closed: Vec<_> = points
        .iter()
        .filter_map(|point| {
            let clients = point.name.strip_prefix("warm, ")?.split_once(" client")?.0;
            Some((clients.parse::<f64>().ok()?, point.per_second()))
        })
        .collect();
    let most = closed.iter().map(|(_, rate)| *rate).fold(10.0, f64::max) * 1.1;
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("Signatures a second, from full pools", ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((1.0..128.0).log_scale().base(2.0), 0.0..most)?;
    chart.configure_mesh().x_desc("clients").y_desc("signatures a second").light_line_style(WHITE).draw()?;
    chart.draw_series(LineSeries::new(closed.clone(), colour(0).stroke_width(2)))?;
    chart.draw_series(closed.into_iter().map(|at| Circle::new(at, 4, colour(0).filled())))?;
    Ok(root.present()?)
}
