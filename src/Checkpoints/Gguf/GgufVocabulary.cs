using System.Globalization;
using System.Text.Json.Nodes;

namespace Trainer.Checkpoints.Gguf;

/// <summary>The tokens of a byte-pair encoding, by id.</summary>
/// <param name="Tokens">Their names: byte-level symbols, or pieces with ▁ for spaces.</param>
/// <param name="Types">llama.cpp's kinds of token.</param>
/// <param name="Merges">Pairs with a space between, by rank.</param>
/// <param name="Scores">For SentencePiece's kind, which merges the pair with the highest score first.</param>
/// <param name="Unknown">The token for what the vocabulary lacks.</param>
/// <param name="Never">A token that no text holds: the byte 0xFF. It stands for an end where there is none, for llama.cpp would take token 11.</param>
internal sealed record GgufVocabulary(
    IReadOnlyList<string> Tokens, IReadOnlyList<int> Types, IReadOnlyList<string> Merges, IReadOnlyList<float> Scores, int? Unknown, int? Never)
{
    private const int Normal = 1, UnknownToken = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    // What the reference implementation gives to tokens that are no result of a merge.
    private const float NoScore = -1000;

    /// <summary>Of a <c>tokenizer.json</c>.</summary>
    /// <param name="json">Its content.</param>
    /// <param name="rows">Rows of the model's embedding; rows beyond the tokens become unused tokens.</param>
    /// <param name="sentencePiece">Whether tokens <c>&lt;0x00&gt;</c> … stand for bytes.</param>
    public static GgufVocabulary Of(JsonObject json, int rows, bool sentencePiece)
    {
        string?[] tokens = new string?[rows];
        int[] types = new int[rows];
        JsonObject model = (JsonObject)json["model"]!;
        string? unknownName = model["unk_token"]?.GetValue<string>();
        foreach ((string name, JsonNode? id) in (JsonObject)model["vocab"]!)
            Set(id!.GetValue<int>(), name, name == unknownName ? UnknownToken : sentencePiece && IsByte(name) ? Byte : Normal);
        foreach (JsonNode? added in json["added_tokens"] as JsonArray ?? [])
        {
            string name = added!["content"]!.GetValue<string>();
            Set(added["id"]!.GetValue<int>(), name, name == unknownName ? UnknownToken : added["special"]?.GetValue<bool>() == true ? Control : UserDefined);
        }
        for (int id = 0; id < rows; id++)
            if (tokens[id] is null) Set(id, $"[PAD{id}]", Unused);
        string[] merges = [.. (model["merges"] as JsonArray ?? []).Select(Pair)];
        int never = Array.IndexOf(tokens, sentencePiece ? "<0xFF>" : "ÿ"), unknown = Array.IndexOf(types, UnknownToken);
        return new(tokens!, types, merges, ScoresOf(tokens!, types, merges), unknown < 0 ? null : unknown, never < 0 ? null : never);

        void Set(int id, string name, int type) => (tokens[id], types[id]) = (name, type);
    }

    // ["left", "right"] in present files, "left right" in older ones.
    private static string Pair(JsonNode? merge) => merge is JsonArray { Count: 2 } pair ? $"{pair[0]} {pair[1]}" : merge!.GetValue<string>();

    private static float[] ScoresOf(string[] tokens, int[] types, string[] merges)
    {
        Dictionary<string, int> ranks = [];
        for (int rank = 0; rank < merges.Length; rank++) ranks.TryAdd(merges[rank].Remove(merges[rank].IndexOf(' '), 1), rank);
        return [.. tokens.Select((token, id) => types[id] is Byte or Control or UnknownToken ? 0 : ranks.TryGetValue(token, out int rank) ? -rank : NoScore - id)];
    }

    private static bool IsByte(string name) =>
        name.Length == 6 && name.StartsWith("<0x", StringComparison.Ordinal) && name[5] == '>' && byte.TryParse(name.AsSpan(3, 2), NumberStyles.HexNumber, null, out _);
}
