/* Curator's caches and mutex against one ZooKeeper: says what happened, one line each. Arguments: address. */

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.retry.RetryOneTime;

public class CuratorSession {
    private static final long PATIENCE_S = 60;

    public static void main(String[] arguments) throws Exception {
        try (CuratorFramework here = connected(arguments[0]); CuratorFramework there = connected(arguments[0])) {
            children(here, there);
            tree(here, there);
            mutex(here, there);
        }
    }

    private static CuratorFramework connected(String address) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(address, 20_000, 20_000, new RetryOneTime(1_000));
        client.start();
        if (!client.blockUntilConnected((int) PATIENCE_S, TimeUnit.SECONDS)) {
            throw new IllegalStateException("no connection to " + address);
        }
        return client;
    }

    private static void children(CuratorFramework here, CuratorFramework there) throws Exception {
        BlockingQueue<String> heard = new LinkedBlockingQueue<>();
        there.create().creatingParentsIfNeeded().forPath("/app/children/a", bytes("one"));
        try (PathChildrenCache cache = new PathChildrenCache(here, "/app/children", true)) {
            cache.getListenable().addListener((client, event) -> heard.add(event.getType() + " " + shown(event.getData())));
            cache.start(PathChildrenCache.StartMode.POST_INITIALIZED_EVENT);
            say("children", heard, 2);
            there.create().forPath("/app/children/b", bytes("two"));
            say("children", heard, 1);
            there.setData().withVersion(0).forPath("/app/children/a", bytes("three"));
            say("children", heard, 1);
            there.delete().forPath("/app/children/b");
            say("children", heard, 1);
            for (ChildData each : cache.getCurrentData()) {
                System.out.println("children have " + shown(each));
            }
        }
    }

    private static void tree(CuratorFramework here, CuratorFramework there) throws Exception {
        BlockingQueue<String> heard = new LinkedBlockingQueue<>();
        there.create().creatingParentsIfNeeded().forPath("/app/tree/x/y", bytes("deep"));
        try (TreeCache cache = new TreeCache(here, "/app/tree")) {
            cache.getListenable().addListener((client, event) -> heard.add(event.getType() + " " + shown(event.getData())));
            cache.start();
            say("tree", heard, 4);
            there.create().creatingParentContainersIfNeeded().forPath("/app/tree/p/q", bytes("new"));
            say("tree", heard, 2);
            there.setData().forPath("/app/tree/x/y", bytes("changed"));
            say("tree", heard, 1);
            there.delete().deletingChildrenIfNeeded().forPath("/app/tree/x");
            say("tree", heard, 2);
            System.out.println("tree has " + new TreeSet<>(cache.getCurrentChildren("/app/tree").keySet()));
        }
    }

    private static void mutex(CuratorFramework here, CuratorFramework there) throws Exception {
        InterProcessSemaphoreMutex first = new InterProcessSemaphoreMutex(here, "/app/mutex");
        InterProcessSemaphoreMutex second = new InterProcessSemaphoreMutex(there, "/app/mutex");
        first.acquire();
        System.out.println("mutex: second gets it while first has it: " + second.acquire(1, TimeUnit.SECONDS));
        System.out.println("mutex: leases " + here.getChildren().forPath("/app/mutex/leases").size());
        first.release();
        System.out.println("mutex: second gets it: " + second.acquire(PATIENCE_S, TimeUnit.SECONDS));
        here.delete().deletingChildrenIfNeeded().forPath("/app/children");
        there.close();
        System.out.println("mutex: first gets it from who is gone: " + first.acquire(PATIENCE_S, TimeUnit.SECONDS));
        first.release();
        System.out.println("mutex: leases " + here.getChildren().forPath("/app/mutex/leases").size());
        System.out.println("mutex: locks " + here.getChildren().forPath("/app/mutex/locks").size());
    }

    /** The next events, in the order of their texts: that of answers about several nodes is nobody's promise. */
    private static void say(String who, BlockingQueue<String> heard, int count) throws Exception {
        List<String> events = new ArrayList<>();
        while (events.size() < count) {
            String event = heard.poll(PATIENCE_S, TimeUnit.SECONDS);
            if (event == null) {
                throw new IllegalStateException(who + " heard only " + events);
            }
            events.add(event);
        }
        events.sort(null);
        events.forEach(event -> System.out.println(who + " heard " + event));
    }

    private static String shown(ChildData node) {
        if (node == null) {
            return "nothing";
        }
        boolean made = node.getStat().getVersion() == 0 && node.getPath().matches(".*/(tree|x|p)");
        String data = made ? "" : new String(node.getData(), StandardCharsets.UTF_8);
        return node.getPath() + " '" + data + "' version " + node.getStat().getVersion();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
