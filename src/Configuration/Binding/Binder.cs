using Trainer.Configuration.Layers;

namespace Trainer.Configuration.Binding;

/// <summary>Binds the merged configuration strictly into records and collects everything that is wrong.</summary>
internal sealed class Binder
{
    private readonly List<Problem> problems;
    private readonly RecordBinder records;
    private readonly CollectionBinder collections;

    public Binder(List<Problem> problems)
    {
        this.problems = problems;
        records = new RecordBinder(this);
        collections = new CollectionBinder(this);
    }

    /// <summary>Binds the root, then asks every record that bound for the rules across its own fields.</summary>
    public object? BindRoot(Setting root, Type type)
    {
        TryBind(root, Target.Of(type, false, null, []), out var value);
        foreach (var (record, setting) in records.Bound)
        {
            foreach (var problem in record.Validate())
                problems.Add(Located(problem, setting));
        }
        return value;
    }

    /// <summary>Binds one setting, or takes the default where it says nothing.</summary>
    /// <returns>Whether it could be bound; if not, the problems say why.</returns>
    public bool TryBind(Setting setting, Target target, out object? value)
    {
        if (setting.Entry is { } entry && IsNull(entry, target))
            return TryNull(setting, target, out value);
        if (Shape.IsScalar(target.Type))
            return TryScalar(setting, target, out value) && KeepsRules(setting, target, value!);
        var bound = Shape.ItemType(target.Type) is { } item ? collections.TryList(setting, target, item, out value)
            : Shape.ValueType(target.Type) is { } element ? collections.TryDictionary(setting, target, element, out value)
            : records.TryRecord(setting, target, out value);
        return bound && KeepsRules(setting, target, value!);
    }

    /// <summary>Reports a fault: what was found, where it came from, and the help.</summary>
    /// <returns><see langword="false"/>, for the caller to return.</returns>
    public bool Report(Setting setting, string fault, string help = "") => Report(setting.Path, fault, setting.Origin, help);

    public bool Report(string path, string fault, string? origin, string help)
    {
        problems.Add(new Problem(path, origin is null ? fault + help : $"{fault} ({origin}){help}"));
        return false;
    }

    /// <summary>Whether what was given, if anything, is the expected kind of container.</summary>
    public bool IsContainer(Setting setting, EntryKind kind, Target target, string help = "") =>
        setting.Entry is not { } entry || entry.Kind == kind
        || Report(setting, $"{entry.Shown} is given where {target.Expected} is expected", help);

    private static bool IsNull(Entry entry, Target target) =>
        entry.Kind == EntryKind.Null || (entry.Kind == EntryKind.Loose && target.Nullable && entry.Text == "null");

    private bool TryNull(Setting setting, Target target, out object? value)
    {
        value = null;
        return target.Nullable || Report(setting, $"null is given where {target.Expected} is expected");
    }

    private bool TryScalar(Setting setting, Target target, out object? value)
    {
        value = null;
        if (setting.Entry is not { } entry)
            return Report(setting, $"an object or list is given where {target.Expected} is expected");
        (value, var fault, var help) = Scalars.Read(entry, target);
        return fault is null || Report(setting, fault, help);
    }

    private bool KeepsRules(Setting setting, Target target, object value)
    {
        if (!setting.Exists)
            return true;
        var shown = value is string or Enum ? $"\"{setting.Entry?.Text}\"" : setting.Entry?.Text ?? "";
        var isList = Shape.ItemType(target.Type) is not null || Shape.ValueType(target.Type) is not null;
        var broken = target.Rules.Where(rule => !isList || Rules.IsAboutCount(rule))
            .Select(rule => Rules.Broken(rule, value, shown)).FirstOrDefault(found => found is not null);
        return broken is not { } found || Report(setting, found.Fault, $"; allowed: {found.Allowed}");
    }

    private static Problem Located(Problem problem, Setting record)
    {
        var at = record.Find(problem.Path);
        var origin = at.Entry is { Kind: not EntryKind.Object } entry ? $" ({entry.Origin})" : "";
        return new Problem(at.Path, problem.Message + origin);
    }
}
