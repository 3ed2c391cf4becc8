namespace Trainer.Configuration.Binding;

/// <summary>The records that are being bound, outermost first, with what their properties have come to so far: what inner ones can inherit.</summary>
/// <remarks>A value that has mistakes is remembered too, so that those of whoever inherits it are found in the same run.</remarks>
internal sealed class Enclosing
{
    private readonly List<Dictionary<string, object?>> records = [];

    /// <summary>Begins a record; disposing ends it.</summary>
    public IDisposable Enter()
    {
        records.Add([]);
        return new Leaving(records);
    }

    /// <summary>Notes what a property of the innermost record has come to; null when nothing could be made of it.</summary>
    public void Remember(string property, object? value) => records[^1][property] = value;

    /// <summary>The value of the nearest enclosing property of that name and type.</summary>
    public object? Find(string property, Type type) =>
        Enumerable.Reverse(records).Skip(1).Select(record => record.GetValueOrDefault(property)).FirstOrDefault(type.IsInstanceOfType);

    /// <summary>Whether an enclosing property of that name was given, but nothing could be made of it.</summary>
    public bool Failed(string property) => records.SkipLast(1).Any(record => record.TryGetValue(property, out var value) && value is null);

    private sealed class Leaving(List<Dictionary<string, object?>> records) : IDisposable
    {
        public void Dispose() => records.RemoveAt(records.Count - 1);
    }
}
