// Every behaviour is a module of its own; each looks whether its part of the page is there.
import "./theme.js";
import "./zone.js";
import "./menus.js";
import "./rows.js";
import "./offers.js";
import "./ribbon.js";
import "./tree.js";
import "./find.js";
import "./detail.js";
import "./waiting.js";
import "./print.js";
import "./keys.js";
