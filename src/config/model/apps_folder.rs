//! A folder with apps in place of a configuration file.

/// What a folder has in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppsFolder {
    /// The configuration file that stands for the folder, before the tables of its apps.
    pub head: String,
    /// The tables of its apps.
    pub tables: String,
    /// The apps, by name.
    pub found: Vec<FoundApp>,
    /// What is no app.
    pub left_out: Vec<LeftOut>,
}

impl AppsFolder {
    /// The configuration file that stands for the folder.
    #[must_use]
    pub fn text(&self) -> String {
        [self.head.as_str(), &self.tables].concat()
    }
}

/// An app of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundApp {
    /// Its name, from the name of the file.
    pub name: String,
    /// The script or folder, relative to the folder.
    pub file: String,
    /// The key of its preset, such as `streamlit`.
    pub kind: &'static str,
    /// Why it is of this kind, such as `sales.py imports streamlit`.
    pub why: String,
}

/// A script or a folder that is no app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The script or folder, relative to the folder.
    pub file: String,
    /// Why it is no app, and what to do.
    pub why: String,
}
