using System.ComponentModel;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data.Chat;

namespace Trainer.Data;

/// <summary>How conversations are learned: the section <c>data.chat</c> of a recipe.</summary>
public sealed record ConversationOptions : IValidated
{
    /// <summary>The name of a template, or the path of a <c>tokenizer_config.json</c> with one.</summary>
    [Description("How a conversation is written: chatml, llama3, mistral, gemma, zephyr, or the path of a tokenizer_config.json of Hugging "
        + "Face with a chat_template.")]
    public string Template { get; init; } = KnownChatTemplate.ChatMl.Name;

    /// <summary>What the loss counts.</summary>
    [Description("What is learned: assistant = what the assistant writes in every turn, and the token that ends it; last = in the last "
        + "turn only; all = every token.")]
    public LearnedTurns Learn { get; init; } = LearnedTurns.Assistant;

    /// <summary>What becomes of conversations that are longer than a row.</summary>
    [Description("What becomes of a conversation with more tokens than model.contextLength: right = its end is cut off; left = its "
        + "beginning; split = it is cut into several rows; drop = it is left out.")]
    public ConversationTruncation Truncation { get; init; } = ConversationTruncation.Right;

    internal bool NamesFile => KnownChatTemplate.Find(Template) is null;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (NamesFile && !Template.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
            yield return new Problem("template", $"is \"{Template}\"; known are {string.Join(", ", KnownChatTemplate.Names)}, or give the "
                + "path of a tokenizer_config.json with a chat_template");
    }
}

/// <summary>Which tokens of a conversation are learned.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<LearnedTurns>))]
public enum LearnedTurns
{
    /// <summary>What the assistant writes, and what ends its turn.</summary>
    [JsonStringEnumMemberName("assistant")]
    Assistant,

    /// <summary>The same of its last turn only.</summary>
    [JsonStringEnumMemberName("last")]
    Last,

    /// <summary>Every token.</summary>
    [JsonStringEnumMemberName("all")]
    All,
}

/// <summary>What becomes of a conversation that is longer than a row.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ConversationTruncation>))]
public enum ConversationTruncation
{
    /// <summary>Its end is cut off.</summary>
    [JsonStringEnumMemberName("right")]
    Right,

    /// <summary>Its beginning is cut off.</summary>
    [JsonStringEnumMemberName("left")]
    Left,

    /// <summary>It is cut into several rows, none of which sees another.</summary>
    [JsonStringEnumMemberName("split")]
    Split,

    /// <summary>It is left out.</summary>
    [JsonStringEnumMemberName("drop")]
    Drop,
}
