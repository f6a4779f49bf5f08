//! Properties of compiled plans that goldens do not show.
