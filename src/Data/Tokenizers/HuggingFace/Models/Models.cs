using System.Text.Json.Nodes;

namespace Trainer.Data.HuggingFace;

/// <summary>Builds models from their descriptions: one line registers each kind.</summary>
internal static class Models
{
    public static Model Create(Part part) => (part.OptionalText("type") ?? Guess(part)) switch
    {
        "BPE" => BpeModel.Of(part),
        "WordPiece" => WordPieceModel.Of(part),
        "WordLevel" => WordLevelModel.Of(part),
        "Unigram" => UnigramModel.Of(part),
        var type => throw part.Unsupported($"the model {type}"),
    };

    /// <summary>Files of before 2022 do not name the model; its fields tell it.</summary>
    private static string Guess(Part part) =>
        part.Has("merges") ? "BPE"
        : part.Content["vocab"] is JsonArray ? "Unigram"
        : part.Has("max_input_chars_per_word") ? "WordPiece"
        : part.Has("unk_token") ? "WordLevel"
        : throw part.Damaged("type is missing");
}
