//! Which of the client's messages a reply of the server answers.
