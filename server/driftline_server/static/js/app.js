// Every behaviour is a module of its own; each looks whether its part of the page is there.
import "./zone.js";
import "./menus.js";
import "./rows.js";
import "./offers.js";
import "./forms.js";
import "./ribbon.js";
import "./tree.js";
import "./minimap.js";
import "./find.js";
import "./detail.js";
import "./copying.js";
import "./waiting.js";
import "./connection.js";
import "./print.js";
import "./theme.js";
import "./keys.js";
