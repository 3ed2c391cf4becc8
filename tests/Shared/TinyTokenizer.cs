using System.Text.Json.Nodes;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;

namespace Trainer.Tests;

internal static class TinyTokenizer
{
    /// <summary>Eight words: [MASK], &lt;s&gt;, &lt;/s&gt;, ?, a, cat, sat, here.</summary>
    /// <param name="framed">Whether a text stands between &lt;s&gt; and &lt;/s&gt;.</param>
    public static Tokenizer Words(bool framed)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(File)!;
        if (!framed) json["post_processor"] = null;
        return HuggingFaceTokenizer.Parse(json, "words");
    }

    private const string File = """
        {
          "added_tokens": [
            {"id": 0, "content": "[MASK]", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false},
            {"id": 1, "content": "<s>", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false},
            {"id": 2, "content": "</s>", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false}
          ],
          "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
          "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}},
          "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"[MASK]": 0, "<s>": 1, "</s>": 2, "?": 3, "a": 4, "cat": 5, "sat": 6, "here": 7}}
        }
        """;
}
