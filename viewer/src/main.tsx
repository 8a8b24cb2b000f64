// Where the page begins: the address is read, the worker warmed up, keys listened to.

import { render } from "preact";
import "./style/page.css";
import "./style/panels.css";
import "./style/stage.css";
import "./style/layers.css";
import "./style/documents.css";
import "./style/viewer.css";
import "./style/list.css";
import { App } from "./ui/app";
import { listenToKeys } from "./ui/commands";
import { keepAddress, readAddress } from "./ui/url_state";
import { warmUp } from "./wire/slice_source";

warmUp();
readAddress();
keepAddress();
listenToKeys();
render(<App />, document.getElementById("app")!);
