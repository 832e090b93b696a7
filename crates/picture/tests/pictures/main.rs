//! The pictures as their readers get them: as markup, and as lines of text.

mod markup;
mod page;
#[path = "../sample/mod.rs"]
mod sample;
mod terminal;

use ng_picture::Language;

const LANGUAGES: [Language; 2] = [Language::English, Language::Chinese];
