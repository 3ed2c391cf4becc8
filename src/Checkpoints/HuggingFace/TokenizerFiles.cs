using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;

namespace Trainer.Checkpoints.HuggingFace;

internal static class TokenizerFiles
{
    public const string FileName = "tokenizer.json";

    private const string Gpt2 = "gpt2";
    private const int Gpt2Tokens = 50257;

    /// <summary>Without <see cref="FileName"/> GPT-2's for a GPT-2, else the ids as tokens: <c>&lt;0&gt; &lt;1&gt; …</c>.</summary>
    public static Tokenizer Load(string directory, string family, int vocabulary, Action<string> warn)
    {
        string path = Path.Combine(directory, FileName);
        if (File.Exists(path)) return Fitting(Tokenizer.Load(path), path, vocabulary);
        string[] older = ["tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"];
        if (older.FirstOrDefault(name => File.Exists(Path.Combine(directory, name))) is { } other)
            throw new UserException(
                $"{path}: it is missing, and {other} is of an older kind; write it with transformers: "
                + $"AutoTokenizer.from_pretrained(\"{directory}\").save_pretrained(\"{directory}\")");
        if (family == Gpt2 && vocabulary == Gpt2Tokens)
        {
            warn($"{path}: it is missing, so GPT-2's own tokenizer is taken, which has the {vocabulary} tokens of the model");
            return new TiktokenTokenizerOptions { Encoding = TiktokenEncoding.Gpt2 }.CreateTrainer().Build();
        }
        warn($"{path}: it is missing, so tokens are written as their ids: \"<0> <1>\" is the text of the ids 0 and 1");
        return TokenIds(vocabulary);
    }

    /// <summary>Whether the tokens are ids, because the model came without a tokenizer.</summary>
    public static bool IsIds(JsonObject json) =>
        json["model"]?["type"]?.GetValue<string>() == "WordLevel" && json["model"]!["vocab"] is JsonObject tokens
            && tokens.All(token => token.Key == $"<{token.Value}>");

    private static Tokenizer Fitting(Tokenizer tokenizer, string path, int vocabulary) => tokenizer.VocabularySize <= vocabulary
        ? tokenizer
        : throw new UserException(
            $"{path}: it has {tokenizer.VocabularySize} tokens, and the model only {vocabulary} (vocab_size); they do not belong together");

    private static HuggingFaceTokenizer TokenIds(int vocabulary)
    {
        JsonObject tokens = [];
        for (int id = 0; id < vocabulary; id++) tokens[$"<{id}>"] = id;
        return HuggingFaceTokenizer.Parse(new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray(),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject { ["type"] = "WhitespaceSplit" },
            ["post_processor"] = null,
            ["decoder"] = null,
            ["model"] = new JsonObject { ["type"] = "WordLevel", ["vocab"] = tokens, ["unk_token"] = "<0>" },
        }, "the tokenizer of ids");
    }
}
