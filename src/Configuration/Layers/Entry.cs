namespace Trainer.Configuration.Layers;

/// <summary>What a layer gives at one place. <see cref="Loose"/> is text from the environment or an override, which has no JSON kind.</summary>
internal enum EntryKind
{
    Null,
    Text,
    Number,
    Boolean,
    Loose,
    Object,
    List,
}

/// <summary>One value or container as one layer gives it.</summary>
/// <param name="Kind">Its JSON kind. Microsoft.Extensions.Configuration keeps text only, and could not tell <c>{}</c> from <c>null</c>.</param>
/// <param name="Text">The value of a scalar; <see langword="null"/> for containers and null.</param>
/// <param name="Name">The last part of its key, as written.</param>
/// <param name="ExactName">Whether the name must match in case: so for JSON, not for environment variables and overrides.</param>
/// <param name="Origin">Where it stands, for messages: <c>in configs/x.json:7</c>, <c>from --set a=b</c>.</param>
internal sealed record Entry(EntryKind Kind, string? Text, string Name, bool ExactName, string Origin)
{
    public bool IsScalar => Kind is not (EntryKind.Object or EntryKind.List);

    /// <summary>The value as a message shows it: text in quotes, numbers bare, containers by kind.</summary>
    public string Shown => Kind switch
    {
        EntryKind.Object => "an object",
        EntryKind.List => "a list",
        EntryKind.Null => "null",
        EntryKind.Number or EntryKind.Boolean => Text!,
        _ => $"\"{Text}\"",
    };
}
