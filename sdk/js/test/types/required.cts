// Must compile: the package by require.
import client = require("@fanfarehq/client");

const ff: client.Fanfare = new client.Fanfare({ key: "k" });
ff.close();
