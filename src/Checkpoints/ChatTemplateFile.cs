using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Chat;

namespace Trainer.Checkpoints;

/// <summary>How a conversation is written as text: the <c>chat_template.json</c> of a checkpoint, which only some have.</summary>
/// <param name="Template">The template, in Jinja.</param>
/// <param name="BosToken">The token at the beginning of text, for the template; null for none.</param>
/// <param name="EosToken">The token at the end of text; null for none.</param>
public sealed record ChatTemplateFile(string Template, string? BosToken, string? EosToken)
{
    /// <summary>The name of the file. Hugging Face has another content under the same name: <c>{"chat_template": …}</c>.</summary>
    public const string FileName = "chat_template.json";

    private const string JinjaFileName = "chat_template.jinja";

    /// <summary>Reads the template of a checkpoint or a Hugging Face directory; null if it has none.</summary>
    /// <remarks>As in transformers, <c>chat_template.jinja</c> comes before <c>tokenizer_config.json</c>, and of several templates the
    /// one named <c>default</c> is taken.</remarks>
    /// <exception cref="UserException">A file cannot be read.</exception>
    public static ChatTemplateFile? In(string directory) => In(directory, CompanionFiles.In(directory));

    /// <summary>The template of a checkpoint, or of a Hugging Face directory, ready to render; null if it has none.</summary>
    /// <exception cref="UserException">It cannot be read, is not valid, or needs what is not supported.</exception>
    public static ChatTemplate? Load(string directory)
    {
        if (In(directory) is not { } file) return null;
        try
        {
            return new(file.Template, file.BosToken, file.EosToken);
        }
        catch (UserException error)
        {
            throw new UserException($"{directory}: {error.Message}", error);
        }
    }

    internal static ChatTemplateFile? In(string directory, IReadOnlyDictionary<string, JsonObject> companions)
    {
        string jinja = Path.Combine(directory, JinjaFileName);
        return File.Exists(jinja) ? WithTokens(File.ReadAllText(jinja), companions) : Of(companions);
    }

    /// <summary>The template among the files beside a model.</summary>
    internal static ChatTemplateFile? Of(IReadOnlyDictionary<string, JsonObject> companions)
    {
        JsonObject? file = companions.GetValueOrDefault(FileName);
        if (Text(file?["template"]) is { } template) return new(template, Text(file!["bosToken"]), Text(file["eosToken"]));
        return WithTokens(Default(companions.GetValueOrDefault(CompanionFiles.TokenizerConfig)) ?? Default(file), companions);
    }

    /// <summary>The file with the template that a recipe's conversations are learned with, among those that go with each of its checkpoints.
    /// </summary>
    public static IReadOnlyList<PendingFile> Among(IReadOnlyList<PendingFile> companions, DataOptions data)
    {
        if (ConversationTemplate.Of(data) is not { } template) return companions;
        ChatTemplateFile file = new(template.Source, template.BosToken, template.EosToken);
        return
        [
            .. companions.Where(companion => companion.Name != FileName),
            new PendingFile(FileName, path => File.WriteAllText(path, ConfigurationJson.Format(file.ToJson()) + "\n")),
        ];
    }

    /// <summary>The content of the file.</summary>
    internal JsonObject ToJson() => new() { ["template"] = Template, ["bosToken"] = BosToken, ["eosToken"] = EosToken };

    /// <summary>Adds the template and its tokens to a <c>tokenizer_config.json</c>, unless they are there.</summary>
    internal void AddTo(JsonObject tokenizerConfig)
    {
        if (Default(tokenizerConfig) != Template) tokenizerConfig["chat_template"] = Template;
        if (BosToken is not null) tokenizerConfig["bos_token"] ??= BosToken;
        if (EosToken is not null) tokenizerConfig["eos_token"] ??= EosToken;
    }

    private static ChatTemplateFile? WithTokens(string? template, IReadOnlyDictionary<string, JsonObject> companions) =>
        template is null ? null : new(template, Token(companions, "bos_token"), Token(companions, "eos_token"));

    // A list of them has names: default, tool_use, rag.
    private static string? Default(JsonObject? json) => json?["chat_template"] switch
    {
        JsonArray several => several.OfType<JsonObject>().Where(one => Text(one["name"]) == "default")
            .Select(one => Text(one["template"])).FirstOrDefault(),
        var one => Text(one),
    };

    // A string, or an object with settings that do not matter here.
    private static string? Token(IReadOnlyDictionary<string, JsonObject> companions, string key) =>
        ((string[])[CompanionFiles.TokenizerConfig, CompanionFiles.SpecialTokens])
            .Select(name => companions.GetValueOrDefault(name)?[key])
            .Select(token => Text(token is JsonObject settings ? settings["content"] : token))
            .FirstOrDefault(token => token is not null);

    private static string? Text(JsonNode? node) => node?.GetValueKind() == JsonValueKind.String ? node.GetValue<string>() : null;
}
