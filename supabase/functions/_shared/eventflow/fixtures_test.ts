import { FIXTURE_NOW, testFixtures } from "../source/testing_fixtures.ts";
import { createEventFlowClient } from "./client.ts";

testFixtures("eventflow", (fetch, { request }) =>
  createEventFlowClient({
    baseUrl: "https://eventflow.test/api/",
    apiKey: "key",
    fetch,
    now: () => FIXTURE_NOW,
    pageRetries: 0,
    ...(request.page_limit && { pageLimit: request.page_limit }),
  }));
