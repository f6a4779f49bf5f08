//! The built-in connectors, chosen by the option `connector`.
