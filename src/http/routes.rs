//! The table of all routes but `/media/…`, which `dispatch` looks at first. 404, 405 and `Allow` follow from it, and a test walks all of it.

use futures::future::BoxFuture;
use warp::http::Method;

use super::{
    actions,
    call::{Answer, Call},
    chats, connections, description, events, groups, health, link_page, messages, people, watch, webhooks,
};

/// Runs one route.
pub(super) type Handler = fn(Call) -> BoxFuture<'static, Answer>;

/// Whether a route looks at the request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Never; a body that is sent all the same is ignored.
    Nothing,
    /// A JSON object, which may be left out.
    Object,
    /// A message: a JSON object, which may be larger than others, or one with its file in parts.
    Message,
    /// A picture: a JSON object, which may be larger than others, or the picture in a part.
    Picture,
}

/// One line of the table.
pub(super) struct Route {
    pub(super) method: Method,
    /// The path; a segment that begins with `:` stands for any text, and there are at most two.
    pub(super) path: &'static str,
    pub(super) takes: Takes,
    /// Whether it reads parameters behind the `?`.
    pub(super) asks: bool,
    pub(super) handler: Handler,
}

/// A path that there is.
pub(super) struct Place {
    /// As the table has it.
    pub(super) path: &'static str,
    /// The text in its variable segments.
    pub(super) params: [String; 2],
}

macro_rules! route {
    ($method:ident $path:literal $takes:ident $handler:path) => {
        route!($method $path $takes $handler, false)
    };
    ($method:ident $path:literal ? $takes:ident $handler:path) => {
        route!($method $path $takes $handler, true)
    };
    ($method:ident $path:literal $takes:ident $handler:path, $asks:literal) => {
        Route {
            method: Method::$method,
            path: $path,
            takes: Takes::$takes,
            asks: $asks,
            handler: |call| Box::pin($handler(call)),
        }
    };
}

/// Every route: those of CONTRACT.md section 2, and those that came since (README.md). A `?` behind the path: it reads parameters.
#[rustfmt::skip]
pub(super) static ROUTES: &[Route] = &[
    route!(POST   "/api/webhooks/register"                                Object  webhooks::register),
    route!(GET    "/api/webhooks/list"?                                   Nothing webhooks::all),
    route!(GET    "/api/webhooks/:webhook_id"                             Nothing webhooks::one),
    route!(PATCH  "/api/webhooks/:webhook_id"                             Object  webhooks::update),
    route!(DELETE "/api/webhooks/:webhook_id"                             Nothing webhooks::delete),
    route!(GET    "/api/webhooks/:webhook_id/events"?                     Nothing events::of_webhook),
    route!(GET    "/api/webhooks/:webhook_id/stats"                       Nothing webhooks::stats),
    route!(POST   "/api/webhooks/:webhook_id/test"                        Object  webhooks::test),
    route!(POST   "/api/webhooks/:webhook_id/retry"                       Object  events::retry_failed),
    route!(POST   "/api/webhooks/:webhook_id/rotate-secret"               Object  webhooks::rotate_secret),
    route!(GET    "/api/webhooks/events/:event_id"                        Nothing events::one),
    route!(GET    "/api/webhooks/events/:event_id/attempts"               Nothing events::attempts),
    route!(POST   "/api/webhooks/events/:event_id/retry"                  Object  events::retry),
    route!(GET    "/api/events"?                                          Nothing events::pull),
    route!(POST   "/api/whatsapp/connections"                             Object  connections::create),
    route!(GET    "/api/whatsapp/connections"?                            Nothing connections::all),
    route!(GET    "/api/whatsapp/connections/:phone_number"               Nothing connections::one),
    route!(PATCH  "/api/whatsapp/connections/:phone_number"               Object  connections::update),
    route!(DELETE "/api/whatsapp/connections/:phone_number"               Nothing connections::delete),
    route!(GET    "/api/whatsapp/connections/:phone_number/qr"?           Nothing connections::qr),
    route!(GET    "/api/whatsapp/connections/:phone_number/events"        Nothing watch::events),
    route!(POST   "/api/whatsapp/connections/:phone_number/pair-code"     Object  connections::pair_code),
    route!(POST   "/api/whatsapp/connections/:phone_number/link-page"     Object  link_page::make),
    route!(POST   "/api/whatsapp/connections/:phone_number/connect"       Object  connections::connect),
    route!(POST   "/api/whatsapp/connections/:phone_number/disconnect"    Object  connections::disconnect),
    route!(POST   "/api/whatsapp/connections/:phone_number/messages"?     Message messages::send),
    route!(GET    "/api/whatsapp/connections/:phone_number/messages"?     Nothing messages::all),
    route!(GET    "/api/whatsapp/connections/:phone_number/messages/:message_id" Nothing messages::one),
    route!(POST   "/api/whatsapp/connections/:phone_number/read"          Object  actions::read),
    route!(POST   "/api/whatsapp/connections/:phone_number/presence"      Object  actions::presence),
    route!(GET    "/api/whatsapp/connections/:phone_number/contacts/check"?Nothing actions::check),
    route!(GET    "/api/whatsapp/connections/:phone_number/contacts/:number" Nothing people::contact),
    route!(GET    "/api/whatsapp/connections/:phone_number/contacts/:number/picture"?Nothing people::picture),
    route!(GET    "/api/whatsapp/connections/:phone_number/blocks"        Nothing people::blocks),
    route!(PUT    "/api/whatsapp/connections/:phone_number/blocks/:number" Nothing people::block),
    route!(DELETE "/api/whatsapp/connections/:phone_number/blocks/:number" Nothing people::unblock),
    route!(GET    "/api/whatsapp/connections/:phone_number/profile"       Nothing people::profile),
    route!(PATCH  "/api/whatsapp/connections/:phone_number/profile"       Object  people::update_profile),
    route!(PUT    "/api/whatsapp/connections/:phone_number/profile/picture" Picture people::set_picture),
    route!(DELETE "/api/whatsapp/connections/:phone_number/profile/picture" Nothing people::remove_picture),
    route!(POST   "/api/whatsapp/connections/:phone_number/calls/:call_id/reject" Object people::reject_call),
    route!(POST   "/api/whatsapp/connections/:phone_number/chats/:chat/archive" Object chats::archive),
    route!(POST   "/api/whatsapp/connections/:phone_number/chats/:chat/pin" Object chats::pin),
    route!(POST   "/api/whatsapp/connections/:phone_number/chats/:chat/mute" Object chats::mute),
    route!(GET    "/api/whatsapp/connections/:phone_number/groups"        Nothing groups::all),
    route!(POST   "/api/whatsapp/connections/:phone_number/groups"        Object  groups::create),
    route!(GET    "/api/whatsapp/connections/:phone_number/groups/:group_id" Nothing groups::one),
    route!(POST   "/api/whatsapp/connections/:phone_number/groups/:group_id/participants" Object groups::participants),
    route!(POST   "/api/whatsapp/connections/:phone_number/groups/:group_id/leave" Object groups::leave),
    route!(PATCH  "/api/whatsapp/connections/:phone_number/groups/:group_id" Object groups::change),
    route!(GET    "/api/whatsapp/connections/:phone_number/groups/:group_id/picture"? Nothing groups::picture),
    route!(PUT    "/api/whatsapp/connections/:phone_number/groups/:group_id/picture" Picture groups::set_picture),
    route!(DELETE "/api/whatsapp/connections/:phone_number/groups/:group_id/picture" Nothing groups::delete_picture),
    route!(GET    "/api/whatsapp/connections/:phone_number/groups/:group_id/invite" Nothing groups::invite),
    route!(POST   "/api/whatsapp/connections/:phone_number/groups/:group_id/invite/reset" Object groups::reset_invite),
    route!(GET    "/api/whatsapp/connections/:phone_number/groups/:group_id/requests" Nothing groups::requests),
    route!(POST   "/api/whatsapp/connections/:phone_number/groups/:group_id/requests" Object groups::decide),
    route!(GET    "/api/whatsapp/connections/:phone_number/invites/:code" Nothing groups::invited_to),
    route!(POST   "/api/whatsapp/connections/:phone_number/invites/:code/join" Object groups::join),
    route!(GET    "/link/:token"                                          Nothing link_page::page),
    route!(GET    "/link/:token/state"?                                   Nothing link_page::state),
    route!(POST   "/link/:token/start"                                    Nothing link_page::start),
    route!(POST   "/link/:token/pair-code"                                Nothing link_page::pair_code),
    route!(GET    "/healthz"                                              Nothing health::alive),
    route!(GET    "/readyz"                                               Nothing health::ready),
    route!(GET    "/metrics"                                              Nothing health::metrics),
    route!(GET    "/openapi.json"                                         Nothing description::openapi),
];

/// Whether a token is needed before anything is said about this path, even whether it exists.
pub(super) fn is_below_api(segments: &[String]) -> bool {
    segments.first().is_some_and(|first| first == "api")
}

/// Looks a path up. A fixed one wins over one with a variable segment, so `/api/webhooks/list` is never an id.
pub(super) fn place(segments: &[String]) -> Option<Place> {
    let fixed = ROUTES.iter().filter(|route| !route.path.contains(':'));
    let variable = ROUTES.iter().filter(|route| route.path.contains(':'));
    fixed.chain(variable).find_map(|route| {
        let params = matches(route.path, segments)?;
        Some(Place {
            path: route.path,
            params,
        })
    })
}

impl Place {
    /// The route of this method; where there is none, the value of `Allow`. HEAD is GET without the body.
    pub(super) fn route(&self, method: &Method) -> Result<&'static Route, String> {
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let here = || ROUTES.iter().filter(|route| route.path == self.path);
        let found = here().find(|route| route.method == wanted);
        found.ok_or_else(|| allow(here().map(|route| &route.method)))
    }
}

/// The value of `Allow` for a path with these methods.
fn allow<'a>(methods: impl Iterator<Item = &'a Method>) -> String {
    let mut names: Vec<&str> = methods.map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.join(", ")
}

/// The texts in the variable segments (empty where there is none) when the path fits.
fn matches(path: &str, segments: &[String]) -> Option<[String; 2]> {
    let mut params = [String::new(), String::new()];
    let mut at = 0;
    let mut given = segments.iter();
    for expected in path.split('/').skip(1) {
        let segment = given.next()?;
        if expected.starts_with(':') && !segment.is_empty() {
            params.get_mut(at)?.clone_from(segment);
            at += 1;
        } else if expected != segment {
            return None;
        }
    }
    given.next().is_none().then_some(params)
}
