"use strict";
// In a file of its own: the page's content security policy allows no script in the page itself.
window.addEventListener("load", () => {
  window.SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    docExpansion: "list",
    tryItOutEnabled: true,
    validatorUrl: null, // the badge would send the document's address to somebody else
  });
});
