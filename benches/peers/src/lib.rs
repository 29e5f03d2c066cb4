//! Filters to measure against: one that does nothing, which is what any Wasm filter costs, and a naive one.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

struct Root;
struct Exchange;

impl Context for Root {}
impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        #[cfg(feature = "naive")]
        {
            let headers = [":path", "user-agent", "authorization", "content-type", "accept", "x-stainless-lang"];
            let read: usize =
                headers.iter().map(|name| self.get_http_request_header_bytes(name).map_or(0, |v| v.len())).sum();
            let properties = [["source", "address"], ["request", "protocol"], ["connection", "id"]];
            let known: usize =
                properties.iter().map(|path| self.get_property(path.to_vec()).map_or(0, |v| v.len())).sum();
            self.set_http_request_header("x-score", Some(&read.to_string()));
            self.set_http_request_header("x-known", Some(&known.to_string()));
        }
        Action::Continue
    }
}

impl RootContext for Root {
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Exchange))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}
