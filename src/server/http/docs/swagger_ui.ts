// The files of Swagger UI for the page at /docs. The build puts them into the program: each import is a path.
// @ts-expect-error -- TypeScript knows no style sheets
import style from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
// @ts-expect-error -- TypeScript looks for the types of the script
import script from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };

export const SWAGGER_UI: Readonly<Record<"script" | "style", string>> = { script, style };
