//! The roof: assembly, the one place where concrete types meet. Nothing lives here but putting together.

mod beside;
mod fits;
mod gateway;
mod installation;
mod key_file;
mod secrets;
mod stores;

pub use beside::{BesideError, beside};
pub use gateway::{Gateway, StartError, stop_signal};
pub use installation::Installation;
pub use key_file::KeyFileError;
pub use stores::Stores;
