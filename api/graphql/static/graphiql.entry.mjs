import React from 'react';
import { createRoot } from 'react-dom/client';
import { GraphiQL } from 'graphiql';
import 'graphiql/graphiql.css';

const endpoint = new URL(document.currentScript?.dataset.endpoint ?? 'graphql', document.baseURI).href;

async function fetcher(params, options) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json;q=0.9',
      ...options?.headers,
    },
    body: JSON.stringify(params),
  });
  return response.json();
}

// A page that leads here may bring a query: ?query=...
const query = new URLSearchParams(location.search).get('query') ?? undefined;

createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, { fetcher, query, defaultEditorToolsVisibility: true }),
);
