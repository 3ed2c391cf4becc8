using System.Text.Json.Nodes;
using Trainer.Data;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>The names of tokens as a <c>tokenizer.json</c> writes them.</summary>
internal static class TokenNames
{
    /// <summary>Names by id: of the model's vocabulary and of added tokens.</summary>
    public static IReadOnlyDictionary<int, string> Of(Tokenizer tokenizer)
    {
        JsonObject json = tokenizer.ToJson();
        Dictionary<int, string> names = [];
        switch (json["model"]?["vocab"])
        {
            case JsonObject vocabulary:
                foreach ((string name, JsonNode? id) in vocabulary) names[id!.GetValue<int>()] = name;
                break;
            case JsonArray pieces: // Unigram: [piece, score]
                for (int id = 0; id < pieces.Count; id++) names[id] = pieces[id]![0]!.GetValue<string>();
                break;
        }
        foreach (JsonNode? added in json["added_tokens"] as JsonArray ?? []) names[added!["id"]!.GetValue<int>()] = added["content"]!.GetValue<string>();
        return names;
    }
}
