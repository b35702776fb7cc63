"use strict";

SwaggerUIBundle({
  dom_id: "#viewer",
  url: "/api/openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  // The shapes stand with the operations that use them; the list of all of them stays folded.
  defaultModelsExpandDepth: 0,
  // Otherwise the viewer shows a badge from a validator on the internet.
  validatorUrl: null,
});
