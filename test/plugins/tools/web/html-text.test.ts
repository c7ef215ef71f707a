import assert from 'node:assert/strict';
import { test } from 'node:test';
import { htmlText } from '../../../../plugins/tools/web/html-text.ts';

const text = (html: string) => htmlText(html, 'https://example.com/docs/page').text;

test('what a person would read', () => {
  const page = `<!doctype html><html><head><title>A &amp; B\n page</title><style>p{}</style></head><body>
    <script>if (1 < 2) document.write("<p>no</p>")</script>
    <h1>Head&shy;ing</h1><p>One   <b>bold</b>, two&nbsp;&#8212; <i>three</i>.</p>
    <ul><li>first</li><li><a href="/a?x=1&amp;y=2">second</a></ul>
    <p>Go <a href='https://other.example/'>there</a> or <a href="javascript:alert(1)">not</a><br>end</p>
    <table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table>
    <pre>  a\n   b</pre><!-- hidden --><img alt="A cat" src="x"></body></html>`;
  assert.deepEqual(htmlText(page, 'https://example.com/docs/page'), {
    title: 'A & B page',
    text: [
      '# Heading',
      '',
      'One bold, two — three.',
      '',
      '- first',
      '- [second](https://example.com/a?x=1&y=2)',
      '',
      'Go [there](https://other.example/) or not',
      'end',
      '',
      'k | v |',
      '1 | 2 |',
      '',
      '  a',
      '   b',
      '',
      'A cat',
    ].join('\n'),
  });
});

test('markup that is broken is read as far as it goes', () => {
  for (const [html, expected] of [
    ['a < b and c > d', 'a < b and c > d'],
    ['<p title="a > b">x</p>', 'x'],
    ["<p title=it's>x</p>y", 'x\n\ny'],
    ['x<script>never closed', 'x'],
    ['x<!-- never closed', 'x'],
    ['x<p class="never closed', 'x'],
    ['<SCRIPT>no</ScRiPt >yes', 'yes'],
    ['<a href="/x"></a>y', 'y'],
    ['&unknown; &#0; &#x110000; &amp', '&unknown; � � &amp'],
    ['</p></a></pre>x', 'x'],
    ['', ''],
  ] as const) {
    assert.equal(text(html), expected, html);
  }
});
