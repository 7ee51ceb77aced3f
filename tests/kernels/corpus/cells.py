"""The corpus: name -> cells. A cell is its source, or (source, tag, ...)."""

NOTEBOOKS: dict[str, list[object]] = {
    "empty": [],
    "only_markdown": ["%%markdown\n# hello"],
    "expression": ["1 + 1", "_ + 1", "__, ___"],
    "statement_then_expression": ["x = 3\nx", "x;", "None", "'text'", "Out[1]", "In[1]"],
    "print": ["print('a')\nprint('b', end='')", "print()", "import sys; print('é ∑ 🎉', sys.stdout.encoding)"],
    "stderr": ["import sys\nprint('err', file=sys.stderr)", "sys.stderr.write('x')"],
    "interleaved": [
        "import sys\nfor i in range(3):\n    print('o', i); sys.stdout.flush()\n"
        "    print('e', i, file=sys.stderr); sys.stderr.flush()"
    ],
    "result_after_print": ["print('first')\n'second'", "print('a')\ndisplay('b')\nprint('c')\n'd'"],
    "error": ["x = 1", "1 / 0", "print('never')"],
    "error_in_function": ["def f(n):\n    return g(n - 1)\ndef g(n):\n    return 1 // n", "f(1)"],
    "chained_error": ["try:\n    int('x')\nexcept ValueError as e:\n    raise RuntimeError('outer') from e"],
    "error_context": ["try:\n    {}['k']\nexcept KeyError:\n    undefined"],
    "exception_group": ["raise ExceptionGroup('many', [ValueError(1), TypeError('two')])"],
    "syntax_error": ["x = = 1"],
    "indentation_error": ["if True:\nprint(1)"],
    "allowed_error": [("1 / 0", "raises-exception"), "print('goes on')", ("import nope", "raises-exception")],
    "skipped": [("1 / 0", "skip-execution"), "print('after')"],
    "error_repr": ["class E(Exception):\n    def __str__(self): return 'multi\\nline'\nraise E()"],
    "bad_repr": [("class B:\n    def __repr__(self): raise ValueError('no repr')\nB()", "raises-exception"), "2"],
    "bad_html_repr": [
        ("class B:\n    def _repr_html_(self): raise ValueError('no html')\nB()", "raises-exception"),
        "2",
    ],
    "recursion": [("def f(): return f()\nimport sys; sys.setrecursionlimit(200)\nf()", "raises-exception"), "1"],
    "keyboard_interrupt": [("raise KeyboardInterrupt", "raises-exception"), "1"],
    "system_exit": ["print('a')\nimport sys; sys.exit()", "print('b')"],
    "system_exit_zero": ["import sys; sys.exit(0)", "1"],
    "system_exit_code": ["import sys; sys.exit(3)", "1"],
    # A kernel exits 0.1 s after an exit request, if it is idle then: the next cell must take longer for equal outputs.
    "quit": ["print(1)\nquit()", "import asyncio\nawait asyncio.sleep(5)\nprint(2)"],
    "exit_bare": ["exit", "import asyncio\nawait asyncio.sleep(5)\nprint(2)"],
    "display_update": ["h = display('one', display_id='x')", "h.update('two')", "display('three', display_id='x')"],
    "update_in_cell": ["h = display('a', display_id=True)\nh.update('b')\nprint('p')\nh.update('c')"],
    "clear_output": ["from IPython.display import clear_output\nprint(1)\nclear_output()\nprint(2)"],
    "clear_wait": [
        "from IPython.display import clear_output\nfor i in range(3):\n    clear_output(wait=True)\n    print(i)"
    ],
    "rich": ["from IPython.display import *\ndisplay(HTML('<b>x</b>'), Markdown('*m*'), Latex('$x$'))\nJSON({'a': 1})"],
    "rich_more": [
        "from IPython.display import *\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')",
        "Javascript('1')",
    ],
    "image": ["from IPython.display import Image\nImage(data=b'\\x89PNG\\r\\n\\x1a\\n' + b'0' * 30, format='png')"],
    "mime": ["class M:\n    def _repr_mimebundle_(self, **k): return {'text/x-a': 'b', 'text/plain': 'p'}\nM()"],
    "formatter": [
        "class P: pass\nget_ipython().display_formatter.formatters['text/html'].for_type(P, lambda p: '<p>')\nP.__repr__ = lambda s: 'P'",
        "P()",
    ],
    "ast_interactivity": [
        "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.ast_node_interactivity = 'all'",
        "1\n2\n3",
    ],
    "pandas": [
        "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2], 'b': ['x', None]})\ndf",
        "df.describe()",
        "df.style;",
    ],
    "numpy": ["import numpy as np\nnp.arange(6).reshape(2, 3) / 7", "np.float64(1) / 0"],
    "random_seeded": [
        "import random, numpy as np\nrandom.seed(1); np.random.seed(1)\nrandom.random(), np.random.rand(2)"
    ],
    "figure": [
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
        "fig, ax = plt.subplots(); ax.set_title('t')\nfig",
    ],
    "figures": [
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nfor i in range(2):\n    plt.figure(); plt.plot([i])\nprint('x')"
    ],
    "figure_show": [
        "import matplotlib.pyplot as plt\nplt.plot([1]); plt.show(); print('between')\nplt.plot([2]); plt.show()"
    ],
    "figure_state": [
        "import matplotlib\nmatplotlib.get_backend(), matplotlib.is_interactive()",
        "import matplotlib.pyplot as p; p.get_fignums()",
    ],
    "inline_config": [
        "%config InlineBackend.figure_format = 'svg'\nimport matplotlib\nmatplotlib.rcParams['svg.hashsalt'] = 'x'\n%config InlineBackend"
    ],
    "magic_line": ["%who", "x = 1\n%who", "%whos", "%pwd;", "%lsmagic;"],
    "magic_time": ["%time sum(range(10))", "%%time\nx = 1"],
    "magic_timeit": ["r = %timeit -o -q -n1 -r1 1\ntype(r)"],
    "magic_capture": ["%%capture out\nprint('x'); display('y'); 3", "out.stdout, len(out.outputs)", "out()"],
    "magic_bash": ["%%bash\necho out; echo err >&2", "%%sh\nexit 0"],
    "magic_bash_fails": ["%%bash\necho x; exit 3"],
    "magic_script": ["%%script cat\nhello", "%%python\nprint('sub')"],
    "magic_unknown": ["%nothing_like_that"],
    "magic_cell_unknown": ["%%nothing_like_that\nx"],
    "magic_env": ["%env MLNB_X=1", "import os; os.environ['MLNB_X']", "%env MLNB_X"],
    "magic_run": [
        "%%writefile helper_made_here.py\nvalue = __name__\nprint('ran', value)",
        "%run helper_made_here.py\nvalue",
    ],
    "magic_history": ["x = 1", "%history", "%recall 1"],
    "magic_alias": ["%alias_magic t timeit", "%precision 3\n3.14159265", "%xmode Plain\n1 / 0"],
    "magic_autoreload": ["%load_ext autoreload\n%autoreload 2", "%reload_ext autoreload"],
    "magic_config": ["%config IPCompleter", "%automagic"],
    "shell": ["!echo hello; echo err >&2", "files = !echo a b\nfiles", "!exit 4", "_exit_code"],
    "shell_variable": ["name = 'x'\n!echo $name {name}"],
    "help": ["?len", "len?", "def f(a):\n    'doc'\nf??", "help(f)"],
    "await": [
        "import asyncio\nawait asyncio.sleep(0)\n'done'",
        "async def f(): return 5\nawait f()",
        "async with asyncio.Lock(): print('in')",
    ],
    "await_error": ["async def f(): raise ValueError('in coroutine')\nawait f()"],
    "task_across_cells": [
        "import asyncio\nasync def f():\n    await asyncio.sleep(0.01); return 7\nt = asyncio.create_task(f())",
        "await t",
    ],
    "loop_running": [
        "import asyncio\nasyncio.get_running_loop().is_running()",
        ("asyncio.run(asyncio.sleep(0))", "raises-exception"),
    ],
    "logging": [
        "import logging\nlogging.warning('w %s', 1)\nlogging.info('not seen')",
        "logging.getLogger('x').error('e')",
    ],
    "logging_config": [
        "import logging, sys\nlogging.basicConfig(level='INFO', stream=sys.stdout, force=True)\nlogging.info('i')",
        "logging.getLogger().handlers[0].level",
    ],
    "warnings": ["import warnings\nwarnings.warn('w')", "warnings.warn('w')", "warnings.warn('d', DeprecationWarning)"],
    "warning_filters": [
        "import warnings\n[f[0] for f in warnings.filters]",
        "warnings.simplefilter('error')",
        ("warnings.warn('x')", "raises-exception"),
    ],
    "tqdm": [
        "import sys\nfrom tqdm import tqdm\nfor _ in tqdm(range(3), file=sys.stdout, bar_format='{n}/{total}', mininterval=0): pass"
    ],
    "tqdm_auto": ["import warnings\nfrom tqdm.auto import tqdm\ntqdm.__module__", "list(tqdm(range(2), disable=True))"],
    "input": ["input('name?')"],
    "getpass": ["import getpass\ngetpass.getpass()"],
    "stdin": ["import sys\nsys.stdin.closed, sys.stdin.read()"],
    "pdb_refused": ["import pdb\n1", "breakpoint.__name__"],
    "subprocess": [
        "import subprocess\nsubprocess.run(['echo', 'x'], capture_output=True, text=True).stdout",
        "subprocess.check_call(['true'])",
    ],
    "subprocess_output": ["import subprocess, time\nsubprocess.run(['echo', 'straight']); time.sleep(0.3)"],
    "os_write": ["import os, time\nos.write(1, b'low level\\n'); time.sleep(0.3)"],
    "non_utf8": [
        "import os, time\nos.write(1, b'\\xff\\xfe bytes\\n'); time.sleep(0.3)",
        "'\\udcff'.encode('utf-8', 'replace')",
    ],
    "multiprocessing": [
        "import multiprocessing as m\ndef f(x): return x * x",
        "with m.get_context('fork').Pool(2) as p: r = p.map(f, range(4))\nr",
    ],
    "process_prints": [
        "import multiprocessing as m\np = m.get_context('fork').Process(target=print, args=('from child',)); p.start(); p.join()\nimport time; time.sleep(0.2)"
    ],
    "futures": [
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as e: r = list(e.map(abs, [-1, -2]))\nr"
    ],
    "thread_prints": ["import threading\nt = threading.Thread(target=lambda: print('in thread')); t.start(); t.join()"],
    "thread_error": ["import threading\nt = threading.Thread(target=lambda: 1 / 0, name='T'); t.start(); t.join()"],
    "thread_later": [
        "import threading, time\nt = threading.Thread(target=lambda: (time.sleep(0.3), print('late'))); t.start()",
        "t.join()",
    ],
    "thread_left": [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n'left'"
    ],
    "atexit": ["import atexit\natexit.register(lambda: open('atexit_ran', 'w').write('x'))", "1"],
    "unflushed": ["f = open('unflushed', 'w')\nf.write('kept')"],
    "deleted": ["class D:\n    def __del__(self): open('deleted', 'w').write('x')\nd = D()"],
    "main": [
        "__name__",
        "import __main__\n__main__.x = 5\nx",
        "import sys\nsys.modules['__main__'].__dict__ is globals()",
        "'__file__' in globals()",
    ],
    "pickle_main": ["import pickle\nclass A: pass\npickle.loads(pickle.dumps(A())).__class__.__module__"],
    "get_ipython": [
        "ip = get_ipython()\ntype(ip).__name__, ip.execution_count, 'IPKernelApp' in ip.config",
        "ip.user_ns is globals()",
        "type(ip).__module__, ip.has_trait('kernel')",
    ],
    "sys_facts": [
        "import sys\nsys.argv[0].rsplit('/', 1)[1], len(sys.argv), sys.flags.interactive",
        "'' in sys.path, sys.path[0] != ''",
        "type(sys.stdout).__name__, sys.stdout.isatty(), sys.stdin.isatty()",
    ],
    "environment": [
        "import os\n[os.environ.get(k) for k in ('TERM', 'PAGER', 'CLICOLOR', 'MPLBACKEND', 'FORCE_COLOR')]",
        "os.getcwd() == os.environ['PWD_EXPECTED']",
    ],
    "hooks": [
        "def before(info): print('pre')\nget_ipython().events.register('pre_run_cell', before)",
        "print('cell')",
        "get_ipython().events.unregister('pre_run_cell', before)",
    ],
    "custom_exc": [
        "def h(self, t, v, tb, tb_offset=None): print('handled', v)\nget_ipython().set_custom_exc((ValueError,), h)",
        ("raise ValueError('x')", "raises-exception"),
        "1",
    ],
    "input_transformer": [
        "get_ipython().input_transformers_cleanup.append(lambda lines: [l.replace('PLUS', '+') for l in lines])",
        "1 PLUS 2",
    ],
    "define_magic": [
        "from IPython.core.magic import register_line_magic\n@register_line_magic\ndef shout(line): return line.upper()",
        "%shout hi",
    ],
    "redirect": [
        "import contextlib, io\nb = io.StringIO()\nwith contextlib.redirect_stdout(b): print('caught')\nb.getvalue()"
    ],
    "stdout_replaced": [
        "import sys, io\nold = sys.stdout; sys.stdout = io.StringIO(); print('lost'); sys.stdout = old\nprint('back')"
    ],
    "comm": [
        "from comm import create_comm\nc = create_comm(target_name='t', data={'a': 1})\nc.send({'b': 2}); type(c).__name__"
    ],
    "many_outputs": ["for i in range(2000): display(i)"],
    "long_text": ["print('x' * 1_000_000)", "'y' * 100_000"],
    "unicode_identifier": ["größe = 1\ngröße"],
    "dataclass": ["from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 1\nP()"],
    "inspect": [
        "import inspect\ndef f():\n    return 1\ninspect.getsource(f)",
        "f.__code__.co_filename.startswith('/tmp/ipykernel_')",
    ],
    "doctest": ["def f():\n    '''\n    >>> f()\n    1\n    '''\n    return 1\nimport doctest; doctest.testmod()"],
    "gc_and_weakref": [
        "import weakref, gc\nclass A: pass\na = A(); r = weakref.ref(a); del a; gc.collect(); r() is None"
    ],
    "signal": [
        "import signal\nsignal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    ],
    "widget": ["import ipywidgets as w\ns = w.IntSlider(value=3, description='n')\ns", "s.value = 5\ns.value"],
    "widget_output": [
        "import ipywidgets as w\no = w.Output()\nwith o:\n    print('inside'); display('shown')\no",
        "with o:\n    print('later')",
    ],
    "widget_interact": ["from ipywidgets import interact\ninteract(lambda n: print(n), n=(0, 3));"],
    "widget_observed": [
        "import ipywidgets as w\ns = w.IntText()\ns.observe(lambda c: print('now', c['new']), 'value')",
        "s.value = 7",
        "box = w.HBox([s, w.Label('label')])\nbox",
        "s.close()",
    ],
    "tqdm_notebook": ["from tqdm.notebook import tqdm\nfor _ in tqdm(range(3), desc='bar', mininterval=0): pass"],
    "tqdm_auto_bar": ["from tqdm.auto import tqdm\nsum(tqdm(range(3), leave=False))", "tqdm.pandas()"],
    "set_next_input": ["get_ipython().set_next_input('x = 1')", "%load_ext nothing_there"],
}

# Cases whose cells neither raise nor leave a state that another reads are executed as one notebook: starting a kernel
# takes longer than they do.
TOGETHER: dict[str, tuple[str, ...]] = {
    "outputs": (
        "print", "stderr", "interleaved", "result_after_print", "skipped", "allowed_error", "bad_repr", "bad_html_repr",
        "display_update", "update_in_cell", "clear_output", "clear_wait", "rich", "rich_more", "image", "mime",
        "unicode_identifier", "dataclass", "redirect", "stdout_replaced", "many_outputs", "long_text",
    ),
    "magics": (
        "only_markdown", "magic_time", "magic_timeit", "magic_capture", "magic_bash", "magic_script", "magic_env",
        "magic_run", "define_magic", "shell", "shell_variable", "help",
    ),
    "processes": (
        "await", "task_across_cells", "loop_running", "subprocess", "subprocess_output", "os_write", "multiprocessing",
        "process_prints", "futures", "thread_prints", "thread_error", "thread_later", "comm", "inspect",
        "gc_and_weakref", "signal", "pickle_main", "stdin", "environment",
    ),
    "tables": ("pandas", "numpy", "random_seeded"),
    "plots": ("figure", "figures", "figure_show"),
    "widgets": ("widget", "widget_output", "widget_interact", "widget_observed"),
    "progress": ("tqdm", "tqdm_auto", "tqdm_auto_bar", "tqdm_notebook"),
}  # fmt: skip
_ALONE = NOTEBOOKS.keys() - {name for names in TOGETHER.values() for name in names}
EXECUTED = {name: cells for name, cells in NOTEBOOKS.items() if name in _ALONE} | {
    theme: [cell for name in names for cell in NOTEBOOKS[name]] for theme, names in TOGETHER.items()
}
