import { FIXTURE_NOW, testFixtures } from "../source/testing_fixtures.ts";
import { createHeadoutClient } from "./client.ts";

testFixtures("headout", (fetch) =>
  createHeadoutClient({
    baseUrl: "https://headout.test/",
    apiKey: "pk_key",
    fetch,
    now: () => FIXTURE_NOW,
    pageRetries: 0,
  }));
