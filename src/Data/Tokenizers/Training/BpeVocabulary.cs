using System.Text.Json.Nodes;

namespace Trainer.Data;

/// <summary>What byte-pair training learns.</summary>
/// <param name="SpecialTokens">The tokens that take the first ids and never come out of text by merging.</param>
/// <param name="Tokens">All tokens by id, in byte-level symbols (see <see cref="ByteLevelAlphabet"/>).</param>
/// <param name="Merges">The pairs to merge, by rank.</param>
internal sealed record BpeVocabulary(IReadOnlyList<string> SpecialTokens, IReadOnlyList<string> Tokens, IReadOnlyList<(string Left, string Right)> Merges)
{
    /// <summary>Hugging Face's byte-level BPE with this vocabulary.</summary>
    /// <returns>The content of <c>tokenizer.json</c>.</returns>
    public JsonObject ToJson(SplitPattern pattern)
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < Tokens.Count; id++)
            vocabulary[Tokens[id]] = id;
        // "left right" rather than ["left","right"]: every version of the readers takes it, and byte-level symbols hold no space.
        var merges = new JsonArray([.. Merges.Select(merge => (JsonNode)$"{merge.Left} {merge.Right}")]);
        var document = HuggingFaceTokenizer.Document(HuggingFaceTokenizer.ByteLevelWords(pattern.Expression()), HuggingFaceTokenizer.ByteLevel(), HuggingFaceTokenizer.Bpe(vocabulary, merges));
        document["added_tokens"] = SpecialTokenEntries.Of(SpecialTokens);
        document["post_processor"] = SpecialTokenEntries.Template(SpecialTokens);
        return document;
    }
}
