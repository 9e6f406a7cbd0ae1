//! The factory of a mount's media: one media, whatever URL a reader uses.
//!
//! The library keys medias by port, path and query of the URL. Behind a forwarded port, or with a
//! trailing slash, a reader would get a separate pipeline without frames.

use gstreamer_rtsp_server as rtsp;
use rtsp::subclass::prelude::*;
use rtsp::{glib, gst_rtsp};

/// The implementation behind [`OneMediaFactory`].
#[derive(Default)]
pub struct OneMediaFactoryImp;

#[glib::object_subclass]
impl ObjectSubclass for OneMediaFactoryImp {
    const NAME: &'static str = "LocutorOneMediaFactory";
    type Type = OneMediaFactory;
    type ParentType = rtsp::RTSPMediaFactory;
}

impl ObjectImpl for OneMediaFactoryImp {}

impl RTSPMediaFactoryImpl for OneMediaFactoryImp {
    fn gen_key(&self, _url: &gst_rtsp::RTSPUrl) -> Option<glib::GString> {
        Some(glib::GString::from("one"))
    }
}

glib::wrapper! {
    /// A factory with one media.
    pub struct OneMediaFactory(ObjectSubclass<OneMediaFactoryImp>)
        @extends rtsp::RTSPMediaFactory;
}

/// A factory that creates one media and shares it between all readers.
pub(super) fn one_media() -> rtsp::RTSPMediaFactory {
    use glib::object::Cast;
    glib::Object::new::<OneMediaFactory>().upcast()
}
