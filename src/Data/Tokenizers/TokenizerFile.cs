using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Data;

/// <summary>Reads and writes <c>tokenizer.json</c>: one line here registers each kind that can be read.</summary>
internal static class TokenizerFile
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The kinds that can be read: each looks at the content and returns null when the file is not of its kind.</summary>
    private static readonly Func<TokenizerDocument, Tokenizer?>[] Kinds = [ReadByte, ReadCharacter, ReadWord];

    public static void Save(Tokenizer tokenizer, string path) =>
        WholeFile.Write(path, stream => stream.Write(Serialize(tokenizer)));

    /// <summary>The file's bytes; the same tokenizer always gives the same ones.</summary>
    public static byte[] Serialize(Tokenizer tokenizer) =>
        Encoding.UTF8.GetBytes(tokenizer.ToJson().ToJsonString(Readable).ReplaceLineEndings("\n") + "\n");

    public static Tokenizer Load(string path) => Read(TokenizerDocument.Read(path));

    /// <summary>The tokenizer that a document describes.</summary>
    public static Tokenizer Parse(JsonObject document) => Read(TokenizerDocument.Of(document));

    private static Tokenizer Read(TokenizerDocument document)
    {
        foreach (var read in Kinds)
            if (read(document) is { } tokenizer)
                return tokenizer;
        return PipelineTokenizer.Parse(document.Root, document.Name);   // any other file of Hugging Face's
    }

    private static ByteTokenizer? ReadByte(TokenizerDocument document) =>
        document.Has("model.type", "BPE")
        && document.Same("pre_tokenizer", HuggingFaceTokenizer.ByteLevel(), "type", "add_prefix_space", "use_regex")
        && document.Plain("normalizer", "post_processor", "added_tokens", "model.merges")
        && ByteTokenizer.IsVocabulary(document.Vocabulary())
            ? ByteTokenizer.Instance
            : null;

    private static CharacterTokenizer? ReadCharacter(TokenizerDocument document)
    {
        if (!document.Has("model.type", "WordLevel")
            || !document.Has("pre_tokenizer.type", "Split")
            || !document.Has("pre_tokenizer.pattern.Regex", HuggingFaceTokenizer.EveryCharacterPattern)
            || !document.Plain("normalizer", "post_processor", "added_tokens"))
            return null;
        var vocabulary = document.Vocabulary();
        var characters = vocabulary.OrderBy(entry => entry.Value).Select(entry => entry.Key.EnumerateRunes().ToArray()).ToArray();
        if (characters.Any(token => token.Length != 1))
            return null;
        var tokenizer = new CharacterTokenizer(characters.Select(token => token[0]));
        return tokenizer.Characters.Select((character, id) => vocabulary[character.ToString()] == id).All(same => same)
            ? tokenizer
            : throw document.Damaged("model.vocab must number its characters 0, 1, 2 … in code-point order");
    }

    private static WordTokenizer? ReadWord(TokenizerDocument document)
    {
        var lowercase = document.Has("normalizer.type", "Lowercase");
        if (!document.Has("model.type", "WordLevel")
            || !document.Has("pre_tokenizer.type", "Whitespace")
            || !document.Plain("post_processor", "added_tokens", "decoder")
            || !(lowercase || document.Plain("normalizer")))
            return null;
        var vocabulary = document.Vocabulary();
        string[] words = [.. vocabulary.OrderBy(entry => entry.Value).Select(entry => entry.Key)];
        return document.Has("model.unk_token", words[0]) && words.Select((word, id) => vocabulary[word] == id).All(same => same)
            ? new WordTokenizer(words, lowercase)
            : null;
    }
}
