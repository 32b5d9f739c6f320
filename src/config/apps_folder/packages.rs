//! The packages of often used modules, for scripts that have neither a requirements file nor inline
//! metadata.
//!
//! Only what is in this list is installed by the name of an import: anybody can publish a package whose
//! name is near that of a module.

use std::collections::BTreeSet;

/// Modules and their packages on PyPI.
const KNOWN: [(&str, &str); 37] = [
    ("PIL", "pillow"),
    ("altair", "altair"),
    ("anthropic", "anthropic"),
    ("boto3", "boto3"),
    ("bokeh", "bokeh"),
    ("bs4", "beautifulsoup4"),
    ("cv2", "opencv-python-headless"),
    ("duckdb", "duckdb"),
    ("folium", "folium"),
    ("geopandas", "geopandas"),
    ("holoviews", "holoviews"),
    ("httpx", "httpx"),
    ("hvplot", "hvplot"),
    ("lxml", "lxml"),
    ("matplotlib", "matplotlib"),
    ("networkx", "networkx"),
    ("numpy", "numpy"),
    ("openai", "openai"),
    ("openpyxl", "openpyxl"),
    ("pandas", "pandas"),
    ("plotly", "plotly"),
    ("polars", "polars"),
    ("psycopg", "psycopg[binary]"),
    ("pyarrow", "pyarrow"),
    ("pydantic", "pydantic"),
    ("pydeck", "pydeck"),
    ("pymongo", "pymongo"),
    ("redis", "redis"),
    ("requests", "requests"),
    ("scipy", "scipy"),
    ("seaborn", "seaborn"),
    ("shapely", "shapely"),
    ("sklearn", "scikit-learn"),
    ("sqlalchemy", "sqlalchemy"),
    ("statsmodels", "statsmodels"),
    ("torch", "torch"),
    ("yaml", "pyyaml"),
];

/// The packages of these modules, as far as they are known.
pub(super) fn of_modules(modules: &BTreeSet<String>) -> Vec<String> {
    let known = KNOWN.iter().filter(|(module, _)| modules.contains(*module));
    known.map(|(_, package)| (*package).to_owned()).collect()
}
